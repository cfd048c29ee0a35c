"""Samples played against a real HTTP endpoint: every scripted fault ends in its own cause, and what agrees is kept."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.conversation import conversation
from data.distillation.answer_journal import open_journal
from data.distillation.budget import most_tokens
from data.distillation.playing import EndpointAddress, Played, play_all
from data.distillation.request_file import read_requests
from data.distillation.selection import Selection, choose
from data.distillation.settings import DistillSection
from data.row import JsonObject, Row
from data.task_api.scenarios import synthesize
from data.task_api.service import TASK_TOOLS
from data.user_error import UserError
from tests.data.rows import PING, ping, raw, result, says, user
from tests.data.scripted_teacher import Behaviour, ScriptedTeacher, completion, num_turns, scripted_teacher
from tests.models import write_rows

QUICK = {"timeout_s": 1.0, "max_retries": 0, "concurrency": 4}
ONE = [raw(user("Ping a"))]


@pytest.fixture(scope="module")
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as server:
        yield server


def play(folder: Path, url: str, model: str, requests: list[JsonObject], **settings: object) -> Played:
    given = DistillSection.model_validate(QUICK | settings)
    file = read_requests(write_rows(folder / "requests.jsonl", requests), None, given.environment)
    with open_journal(folder / "rows.answers.jsonl") as journal:
        address = EndpointAddress(url, "none", model)
        return asyncio.run(play_all(file.requests, address, journal, given, lambda: None))


def distil(folder: Path, teacher: ScriptedTeacher, model: str, **settings: object) -> Selection:
    (samples,) = play(folder, teacher.base_url, model, ONE, **settings).samples
    return choose(samples)


def causes(choice: Selection) -> list[str]:
    return [sample.cause for sample in choice.left]


def test_a_row_is_the_request_with_calls_results_and_answer(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    choice = distil(tmp_path, teacher, "right")
    assert choice.kept and choice.kept.row == raw(
        user("Ping a"), says(None, ping(call_id="call_1")), result('{"status": "success", "host": "a"}', "call_1"),
        says("a answers."),
    )  # fmt: skip
    assert (choice.kept.number, choice.criterion, causes(choice)) == (0, "agree", ["spare", "spare"])


@pytest.mark.parametrize(
    ("model", "kept", "left"),
    [
        ("two_of_three", 1, ["disagrees", "spare"]),
        ("all_differ", None, ["disagrees"] * 3),
        ("any_order", 0, ["spare", "spare"]),
        ("no_call", 0, ["spare", "spare"]),
        ("no_ids", 0, ["spare", "spare"]),
        ("object_arguments", 0, ["spare", "spare"]),
        ("mends", 0, ["spare", "spare"]),
        ("one_mends", 0, ["spare", "spare"]),
        ("one_broken", 1, ["arguments", "spare"]),
        ("unknown_tool", 0, ["spare", "spare"]),
        ("first_429", 0, ["spare", "spare"]),
        ("first_500", 0, ["spare", "spare"]),
        ("gives_up", None, ["unrecovered_error"] * 3),
        ("broken_json", None, ["arguments"] * 3),
        ("leaked_call", None, ["leaked_call"] * 3),
        ("reasoning", None, ["reasoning"] * 3),
        ("control_token", None, ["control_token"] * 3),
        ("truncated", None, ["truncated"] * 3),
        ("empty", None, ["empty_answer"] * 3),
        ("never_ends", None, ["too_many_turns"] * 3),
        ("error_400", None, ["refused"] * 3),
        ("error_500", None, ["unanswered"] * 3),
        ("garbage", None, ["unanswered"] * 3),
    ],
)
def test_every_behaviour_ends_in_a_row_or_in_its_cause(
    tmp_path: Path, teacher: ScriptedTeacher, model: str, kept: int | None, left: list[str]
) -> None:
    choice = distil(tmp_path, teacher, model, max_retries=2 if model.startswith("first") else 0)
    assert (choice.kept.number if choice.kept else None, causes(choice)) == (kept, left)
    assert choice.is_final == ("unanswered" not in left)


def test_a_slow_answer_is_not_waited_for(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    choice = distil(tmp_path, teacher, "slow", timeout_s=0.2)
    assert {(sample.cause, sample.why) for sample in choice.left} == {("unanswered", "no answer within 0.2 s")}


def test_a_failed_call_is_context_and_is_not_learned(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    choice = distil(tmp_path, teacher, "mends")
    assert choice.kept
    messages = choice.kept.row["messages"]
    assert [message.get("weight") for message in messages] == [None, 0, None, None, None, None]
    assert json.loads(messages[2]["content"])["error"]["code"] == "invalid_arguments"
    assert [message["tool_calls"][0]["id"] for message in messages if "tool_calls" in message] == ["call_1", "call_2"]


def test_one_sample_is_kept_without_agreement(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    assert causes(distil(tmp_path, teacher, "all_differ", samples=1)) == []


def test_two_samples_of_four_are_no_majority(tmp_path: Path) -> None:
    def halves(body: JsonObject, _: int) -> JsonObject:
        return completion("Hello." if body["seed"] < 2 else None, *([] if body["seed"] < 2 else [("ping", "{}")]))

    with scripted_teacher({"halves": halves}) as teacher:
        choice = distil(tmp_path, teacher, "halves", samples=4, max_turns=1)
    assert causes(choice) == ["disagrees", "disagrees", "too_many_turns", "too_many_turns"]


def test_earlier_turns_stay_as_they_are_written(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    earlier = [
        user("Ping x"),
        says(None, ping('{"host": "x"}', "call_1"), weight=0),
        result("ok", "call_1"),
        says("Ok."),
    ]
    (samples,) = play(tmp_path, teacher.base_url, "right", [raw(*earlier, user("Ping a"))]).samples
    kept = choose(samples).kept
    assert kept and kept.row["messages"][:5] == [*earlier, user("Ping a")]
    assert kept.row["messages"][5]["tool_calls"][0]["id"] == "call_2"
    assert not any("weight" in message for body in teacher.asked for message in json.loads(body)["messages"])


def test_a_dead_endpoint_is_not_asked_for_every_sample(tmp_path: Path) -> None:
    requests = [raw(user(f"Ping {number}")) for number in range(40)]
    with scripted_teacher() as teacher:
        played = play(tmp_path, teacher.base_url, "error_500", requests, concurrency=2)
        assert sum(teacher.asked.values()) < 12
    reasons = {sample.why for samples in played.samples for sample in samples}
    assert reasons == {"HTTP 500: out of memory", *(r for r in reasons if r.startswith("not asked: "))}


# The task service: calls are executed for real.


def oracle(rows: list[JsonObject]) -> Behaviour:
    """Answers each request as the row from which it was taken."""
    by_request = {json.dumps(_request(row)["messages"], sort_keys=True): row for row in rows}

    def answer(body: JsonObject, _: int) -> JsonObject:
        last = max(index for index, message in enumerate(body["messages"]) if message["role"] == "user")
        row = by_request[json.dumps(body["messages"][: last + 1], sort_keys=True)]
        said = [message for message in row["messages"][last + 1 :] if message["role"] == "assistant"][num_turns(body)]
        calls = [(call["function"]["name"], call["function"]["arguments"]) for call in said.get("tool_calls", ())]
        return completion(said["content"], *calls)

    return answer


def _request(row: JsonObject) -> JsonObject:
    last = max(index for index, message in enumerate(row["messages"]) if message["role"] == "user")
    return row | {"messages": row["messages"][: last + 1]}


def test_a_teacher_that_knows_the_rows_gives_them_back_whole(tmp_path: Path) -> None:
    rows = synthesize(60, 1, seed=3).train
    with scripted_teacher({"oracle": oracle(rows)}) as teacher:
        requests = [_request(row) for row in rows]
        played = play(tmp_path, teacher.base_url, "oracle", requests, environment="task_service", samples=1)
    kept = [choose(samples).kept for samples in played.samples]
    assert [sample.row if sample else None for sample in kept] == rows


def _task_request() -> JsonObject:
    system = "Today is 2026-03-14.\nTasks:\nT-204 | Call the plumber | low | no due date | open"
    return {"messages": [{"role": "system", "content": system}, user("Finish the plumber.")], "tools": TASK_TOOLS}


def _routes(*, last: str) -> Behaviour:
    """Seed 0 looks first, seed 1 does not, seed 2 ends with the call `last`."""

    def answer(body: JsonObject, _: int) -> JsonObject:
        done = ("complete_task", '{"task_id": "T-204"}')
        looks = ("list_tasks", "{}")
        route = [[looks, done], [done], [done, (last, '{"title": "Pay"}' if last == "create_task" else "{}")]]
        calls = route[body["seed"]]
        turn = num_turns(body)
        return completion(None, calls[turn]) if turn < len(calls) else completion("Done.")

    return answer


def test_other_routes_to_the_same_new_state_are_kept_as_executed(tmp_path: Path) -> None:
    with scripted_teacher({"same": _routes(last="list_tasks"), "other": _routes(last="create_task")}) as teacher:
        choices = [
            choose(play(tmp_path, teacher.base_url, model, [_task_request()], environment="task_service").samples[0])
            for model in ("same", "other")
        ]
    assert [(c.kept.number if c.kept else None, c.criterion) for c in choices] == [(0, "executed"), (0, "executed")]
    assert [causes(choice) for choice in choices] == [["spare", "spare"], ["spare", "disagrees"]]


def test_a_sample_with_a_failed_call_proves_no_state(tmp_path: Path) -> None:
    done, missing, looks = ((name, json.dumps(given)) for name, given in (
        ("complete_task", {"task_id": "T-204"}), ("complete_task", {"task_id": "T-999"}), ("list_tasks", {}),
    ))  # fmt: skip
    routes = [[missing, done, looks], [looks, done], [done]]

    def answer(body: JsonObject, _: int) -> JsonObject:
        calls = routes[body["seed"]][num_turns(body) :]
        return completion(None, calls[0]) if calls else completion("Done.")

    with scripted_teacher({"stumbles": answer}) as teacher:
        played = play(tmp_path, teacher.base_url, "stumbles", [_task_request()], environment="task_service")
    chosen = choose(played.samples[0])
    assert (chosen.kept and chosen.kept.number, chosen.criterion) == (1, "executed")
    assert causes(chosen) == ["disagrees", "spare"]


def test_mock_tools_prove_no_state(tmp_path: Path) -> None:
    with scripted_teacher({"same": _routes(last="list_tasks")}) as teacher:
        (samples,) = play(tmp_path, teacher.base_url, "same", [_task_request()]).samples
    assert (choose(samples).kept, causes(choose(samples))) == (None, ["disagrees"] * 3)


# Requests that cannot be played.


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


def test_keys_of_a_request_are_replaced_and_taken_out(tmp_path: Path) -> None:
    body = '{"temperature": null, "max_tokens": null, "max_completion_tokens": 7, "top_k": 3}'
    with scripted_teacher() as teacher:
        distil(tmp_path, teacher, "no_call", extra_body=body, samples=1)
        (asked,) = map(json.loads, teacher.asked)
    assert set(asked) == {"model", "messages", "tools", "tool_choice", "seed", "max_completion_tokens", "top_k"}


def test_no_real_tokenizer_makes_more_tokens_than_are_set_aside(chatml: Any, llama: Any) -> None:
    for row in synthesize(20, 1, seed=1).train:
        request = _request(row)
        talk = conversation(Row.model_validate(request))
        for tokenizer in (chatml, llama):
            ids = tokenizer.apply_chat_template(talk.messages, tools=talk.tools, return_dict=True)["input_ids"]
            assert len(ids) <= most_tokens(request, 10).prompt
