"""A teacher that answers as rows do, and calls that are executed by the task service: what is verified by execution."""

import json
from pathlib import Path

import pytest

from data.distillation.selection import Selection, choose
from data.row import JsonObject
from data.task_api.scenarios import synthesize
from data.task_api.service import TASK_TOOLS
from tests.data.rows import user
from tests.data.scripted_teacher import Behaviour, completion, num_turns, play, request_of, scripted_teacher


def causes(chosen: Selection) -> list[str]:
    return [sample.cause for sample in chosen.left]


def oracle(rows: list[JsonObject]) -> Behaviour:
    """Answers each request as the row from which it was taken."""
    by_request = {json.dumps(request_of(row)["messages"], sort_keys=True): row for row in rows}

    def answer(body: JsonObject, _: int) -> JsonObject:
        last = max(index for index, message in enumerate(body["messages"]) if message["role"] == "user")
        row = by_request[json.dumps(body["messages"][: last + 1], sort_keys=True)]
        turns = [message for message in row["messages"][last + 1 :] if message["role"] == "assistant"]
        said = turns[num_turns(body)] if num_turns(body) < len(turns) else {"content": "Done."}
        calls = [(call["function"]["name"], call["function"]["arguments"]) for call in said.get("tool_calls", ())]
        return completion(said["content"], *calls)

    return answer


def test_a_teacher_that_knows_the_rows_gives_them_back_whole(tmp_path: Path) -> None:
    rows = synthesize(60, 1, seed=3).train
    with scripted_teacher({"oracle": oracle(rows)}) as teacher:
        requests = [request_of(row) for row in rows]
        played = play(tmp_path, teacher.base_url, "oracle", requests, environment="task_service", samples=1)
    kept = [choose(samples).kept for samples in played.samples]
    assert [sample.row if sample else None for sample in kept] == rows


@pytest.mark.parametrize("name", ["home_assistant", "seal_tools", "taskmaster_coffee"])
def test_requests_of_real_sets_are_played_with_mock_tools(tmp_path: Path, shared_data: Path, name: str) -> None:
    lines = (shared_data / name / "test.jsonl").read_text().splitlines()[:60]
    rows = {json.dumps(request_of(row)): row for row in map(json.loads, lines)}
    wanted = [_said_after_request(row) for row in rows.values()]
    with scripted_teacher({"oracle": oracle(list(rows.values()))}) as teacher:
        played = play(tmp_path, teacher.base_url, "oracle", list(map(json.loads, rows)), samples=1)
    given = [_said_after_request(sample.row) for (sample,) in played.samples]
    assert [sample.why for (sample,) in played.samples if sample.cause] == []
    assert [calls for turns in given for calls in turns if calls] == [
        calls for turns in wanted for calls in turns if calls
    ]


def _said_after_request(row: JsonObject) -> list[list[tuple[str, JsonObject]]]:
    """The calls of each assistant message."""
    said = [m for m in row["messages"][len(request_of(row)["messages"]) :] if m["role"] == "assistant"]
    return [
        [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in m.get("tool_calls", ())]
        for m in said
    ]


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
