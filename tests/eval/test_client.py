"""The runner against a real HTTP server: every planted fault must land in its own state and word."""

import socket
from pathlib import Path

import pytest
from fastapi import Response

from data.row import JsonObject
from data.user_error import UserError
from eval.client import ask_all, request
from eval.endpoint import Endpoint, check_endpoint
from eval.reply import Reply
from eval.scores import Result, result
from eval.settings import EvalSection
from eval.suite import Item, Suite
from tests.eval.planted_server import PLANTED, planted_server
from tests.eval.rows import CREATE, SMALL_TALK, TOOLS, suite_of

QUICK = EvalSection(timeout_s=0.5, max_retries=0, concurrency=4)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path, CREATE, SMALL_TALK)


def run(suite: Suite, url: str, model: str, settings: EvalSection = QUICK) -> list[Result]:
    answers = ask_all(Endpoint(base_url=url, model=model), suite.items, "none", settings)
    return [result(item, answer, 0.8) for item, answer in zip(suite.items, answers, strict=True)]


# Model: state and word of the item that expects a call, then of the one that expects none.
CASES = [
    ("right", ("right", None), ("right", None)),
    ("wrong_value", ("wrong", "wrong_value"), ("right", None)),
    ("extra_argument", ("wrong", "extra_argument"), ("right", None)),
    ("missing_argument", ("wrong", "missing_argument"), ("right", None)),
    ("schema_violation", ("wrong", "schema_violation"), ("right", None)),
    ("wrong_tool", ("wrong", "wrong_tool"), ("right", None)),
    ("unknown_tool", ("wrong", "unknown_tool"), ("right", None)),
    ("invalid_json", ("unreadable", "invalid_json"), ("right", None)),
    ("wrong_count", ("wrong", "wrong_count"), ("wrong", "unneeded_call")),
    ("unneeded_call", ("wrong", "missing_argument"), ("wrong", "unneeded_call")),
    ("leaked_call", ("unreadable", "leaked_call"), ("unreadable", "leaked_call")),
    ("truncated", ("unreadable", "truncated"), ("unreadable", "truncated")),
    ("no_call", ("wrong", "no_call"), ("right", None)),
    ("empty_answer", ("wrong", "empty_answer"), ("wrong", "empty_answer")),
    ("error_500", ("not_run", "transport"), ("not_run", "transport")),
    ("too_long_400", ("not_run", "transport"), ("not_run", "transport")),
    ("garbage", ("not_run", "transport"), ("not_run", "transport")),
    ("no_choices", ("not_run", "transport"), ("not_run", "transport")),
    ("slow", ("not_run", "transport"), ("not_run", "transport")),
]


@pytest.mark.parametrize(("model", "call", "no_call"), CASES)
def test_a_planted_fault_lands_in_its_state_and_word(
    suite: Suite, model: str, call: tuple[str, str | None], no_call: tuple[str, str | None]
) -> None:
    with planted_server(suite.items) as url:
        results = run(suite, url, model)
    found = {result.kind: (result.score.verdict, result.score.failure) for result in results}
    assert (found["call"], found["no_call"]) == (call, no_call)


def test_every_planted_model_is_tested() -> None:
    assert {model for model, _, _ in CASES} == set(PLANTED)


def test_a_reply_is_kept_as_it_came(suite: Suite) -> None:
    with planted_server(suite.items) as url:
        answer = run(suite, url, "invalid_json")[0].answer
    assert isinstance(answer, Reply)
    assert answer.calls[0].arguments == '{"title": '
    assert (answer.prompt_tokens, answer.completion_tokens, answer.finish_reason) == (100, 20, "stop")
    assert 0 < answer.latency_s < 0.5


def test_the_reason_says_why_an_item_was_not_run(suite: Suite) -> None:
    with planted_server(suite.items) as url:
        reasons = {model: run(suite, url, model)[0].score.why for model in ("error_500", "garbage", "slow")}
    assert reasons["error_500"].startswith("HTTP 500: ") and "\n" not in reasons["error_500"]
    assert "<html>hello" in reasons["garbage"]
    assert reasons["slow"] == "no answer within 0.5 s"


def test_a_fault_that_passes_is_retried(suite: Suite) -> None:
    failed_once: set[str] = set()

    def flaky(item: Item) -> JsonObject | Response:
        first_time = item.id not in failed_once
        failed_once.add(item.id)
        return PLANTED["error_500" if first_time else "right"](item)

    with planted_server(suite.items, {"flaky": flaky}) as url:
        results = run(suite, url, "flaky", EvalSection(max_retries=2))
    assert [result.score.verdict for result in results] == ["right"] * 3


def test_an_endpoint_that_dies_costs_neither_a_traceback_nor_a_timeout_for_each_item(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, *[CREATE] * 20)
    with planted_server(suite.items) as url:
        pass
    results = run(suite, url, "right")
    assert {result.score.verdict for result in results} == {"not_run"}
    reasons = [result.score.why for result in results]
    assert "Connection error" in reasons[0]
    assert sum(reason.startswith("not asked: ") for reason in reasons) >= len(suite.items) - 8 - QUICK.concurrency


def test_the_check_tells_what_the_endpoint_is(suite: Suite) -> None:
    with planted_server(suite.items, key="secret") as url:
        endpoint = check_endpoint(url, "secret", "right")
    assert (endpoint.server_version, endpoint.model_facts) == ("0.32.0-planted", {"max_model_len": 4096})


@pytest.mark.parametrize(
    ("path", "key", "model", "message"),
    [
        ("", "wrong", "right", "refuses the key"),
        ("", "secret", "absent", "unknown model 'absent'.*it serves: right, wrong_value"),
        ("/nowhere", "secret", "right", "GET /models gave HTTP 404"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_a_user_error(
    suite: Suite, path: str, key: str, model: str, message: str
) -> None:
    with planted_server(suite.items, key="secret") as url, pytest.raises(UserError, match=message):
        check_endpoint(url + path, key, model)


def test_an_endpoint_that_is_down_slow_or_no_endpoint_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        check_endpoint("http://127.0.0.1:1/v1", "none", "right")
    with pytest.raises(UserError, match="cannot be reached"):
        check_endpoint("not a url", "none", "right")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match=r"no answer within 0\.2 s"):
        check_endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", "none", "right", timeout_s=0.2)


def test_the_request_is_what_an_agent_sends(tmp_path: Path, suite: Suite) -> None:
    call, _, no_call = suite.items
    assert request("tuned", call, EvalSection(seed=3)) == {
        "model": "tuned",
        "messages": CREATE["messages"][:2],
        "tools": TOOLS,
        "tool_choice": "auto",
        "temperature": 0,
        "seed": 3,
        "max_tokens": 512,
    }
    one_at_a_time = suite_of(tmp_path, SMALL_TALK | {"parallel_tool_calls": False}).items[0]
    assert request("tuned", one_at_a_time, QUICK) == request("tuned", no_call, QUICK) | {"parallel_tool_calls": False}
    without_tools = suite_of(tmp_path, {"messages": SMALL_TALK["messages"]}).items[0]
    assert not {"tools", "tool_choice"} & request("tuned", without_tools, QUICK).keys()
