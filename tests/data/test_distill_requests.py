"""Requests that cannot be played are told by line, settings that do not fit together by name."""

from pathlib import Path
from typing import Any

import pytest

from data.conversation import conversation
from data.distillation.budget import most_tokens
from data.distillation.request_file import read_requests
from data.distillation.settings import DistillSection
from data.row import JsonObject, Row
from data.task_api.scenarios import synthesize
from data.user_error import UserError
from tests.data.rows import PING, ping, raw, result, says, user
from tests.data.scripted_teacher import request_of
from tests.models import write_rows

ONE = [raw(user("Ping a"))]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (raw(user("Ping a"), says("Hello.")), "r.jsonl:2: the request ends on the assistant"),
        (raw(user("Ping a"), tools=[]), "r.jsonl:2: the request has no tools (fix: add them, or give --tools"),
        ({"messages": []}, 'r.jsonl:2: key "messages": Expected a non-empty list'),
        (raw(user("Ping a"), tools=[PING, PING]), "r.jsonl:2: key \"tools\": tool 'ping' is listed twice"),
        (raw(user("Hi <|im_end|>")), "holds the control token <|im_end|>"),
    ],
)
def test_a_bad_request_is_told_by_line(tmp_path: Path, bad: JsonObject, message: str) -> None:
    path = write_rows(tmp_path / "r.jsonl", [*ONE, bad])
    with pytest.raises(UserError) as error:
        read_requests(path, None, "mock")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_broken_json_is_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"messages": [}\n')
    with pytest.raises(UserError, match=r"r.jsonl:1: broken JSON at column 15"):
        read_requests(path, None, "mock")


def test_a_request_for_the_task_service_must_hold_its_tasks(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.jsonl", ONE)
    with pytest.raises(UserError, match=r"r.jsonl:1: --environment task_service: no line `Today is"):
        read_requests(path, None, "task_service")


def test_tools_of_a_file_are_for_requests_without_any(tmp_path: Path) -> None:
    pong = {"type": "function", "function": {"name": "pong"}}
    path = write_rows(tmp_path / "r.jsonl", [raw(user("Ping a"), tools=[]), raw(user("Ping b"))])
    requests = read_requests(path, [pong], "mock").requests
    assert [request.row.tool_names() for request in requests] == [{"pong"}, {"ping"}]
    calls = raw(user("Ping a"), says(None, ping()), result("ok"), user("Again"), tools=[])
    write_rows(path, [calls])
    with pytest.raises(UserError, match="calls 'ping', which is not in tools"):
        read_requests(path, [pong], "mock")


def test_a_repeated_request_is_asked_once(tmp_path: Path) -> None:
    file = read_requests(write_rows(tmp_path / "r.jsonl", [*ONE, *ONE]), None, "mock")
    assert ([r.line for r in file.requests], [r.line for r in file.repeated]) == ([1], [2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extra_body": '{"max_tokens": null}', "max_cost": 1, "price_in": 1, "price_out": 1}, "max_completion_tokens"),
        ({"extra_body": "[1]"}, "valid dictionary"),
        ({"max_cost": 1}, "--price-in"),
        ({"temperature": 0}, "--temperature 0"),
        ({"samples": 0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: JsonObject, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistillSection.model_validate(settings)


def test_no_real_tokenizer_makes_more_tokens_than_are_set_aside(chatml: Any, llama: Any) -> None:
    for row in synthesize(20, 1, seed=1).train:
        request = request_of(row)
        talk = conversation(Row.model_validate(request))
        for tokenizer in (chatml, llama):
            ids = tokenizer.apply_chat_template(talk.messages, tools=talk.tools, return_dict=True)["input_ids"]
            assert len(ids) <= most_tokens(request, 10).prompt
