"""Samples played against a real HTTP endpoint: every scripted fault ends in its own cause, and what agrees is kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.distillation.selection import Selection, choose
from data.row import JsonObject
from tests.data.rows import ping, raw, result, says, user
from tests.data.scripted_teacher import ScriptedTeacher, completion, play, scripted_teacher

ONE = [raw(user("Ping a"))]


@pytest.fixture(scope="module")
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as server:
        yield server


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


def test_keys_of_a_request_are_replaced_and_taken_out(tmp_path: Path) -> None:
    body = '{"temperature": null, "max_tokens": null, "max_completion_tokens": 7, "top_k": 3}'
    with scripted_teacher() as teacher:
        distil(tmp_path, teacher, "no_call", extra_body=body, samples=1)
        (asked,) = map(json.loads, teacher.asked)
    assert set(asked) == {"model", "messages", "tools", "tool_choice", "seed", "max_completion_tokens", "top_k"}
