"""Environments: real rows replayed, faults, and how a run is judged."""

from collections import Counter
from pathlib import Path

import pytest

from data.row import JsonObject, Row
from data.task_api.scenarios import synthesize
from data.user_error import UserError
from eval.environments.environment import expected_calls, open_environment
from eval.environments.faults import FAULT_KINDS, Fault, FaultyEnvironment, draw_fault
from eval.environments.outcome import Run, cause, is_right, make, recovery, reference
from eval.environments.recorded_calls import recorded_calls
from eval.environments.recorded_tools import RecordedTools
from eval.json_values import same_json
from eval.settings import EnvironmentName

COFFEE = Path(__file__).parents[2] / "data" / "samples" / "taskmaster_coffee"


def coffee_rows() -> list[Row]:
    files = ("train", "test", "test_unseen_tools")
    return [Row.model_validate_json(line) for name in files for line in (COFFEE / f"{name}.jsonl").open()]


def task_row(kind: str = "create") -> Row:
    rows = synthesize(1, 20, 3, "basic").test
    names = {"create": "create_task", "complete": "complete_task"}
    return next(row for row in map(Row.model_validate, rows) if [c.name for c in expected_calls(row)] == [names[kind]])


def run_of(row: Row, *calls: tuple[str, JsonObject], text: str = "Done.") -> Run:
    environment = open_environment("task_service", row)
    made = [make(environment, name, arguments) for name, arguments in calls]
    return Run("answered", made, environment.state(), text)


def test_the_coffee_bar_answers_every_recorded_call_as_the_source_did() -> None:
    answered: Counter[str] = Counter()
    for row in coffee_rows():
        bar = open_environment("coffee_bar", row)
        for call in recorded_calls(row):
            result = bar.call(call.name, call.arguments)
            if call.name == "get_order_details":  # the source adds the name of a playing card and its own default
                assert [item["menu_item_id"] for item in result["menu_items"]] == [
                    item["menu_item_id"] for item in call.result["menu_items"]
                ]
            else:
                assert same_json(result, call.result), (call, result)
            answered[call.name] += 1
    assert answered == {
        "get_order_details": 274, "get_menu_items": 290, "add_order_item": 249, "finish_order": 234,
        "get_addons": 200, "update_order_item": 40, "show_menu": 32, "update_order": 19,
    }  # fmt: skip


def test_the_coffee_bar_keeps_orders_and_answers_what_no_worker_asked() -> None:
    row = coffee_rows()[0]
    bar = open_environment("coffee_bar", row)
    assert bar.call("finish_order", {"order_id": "1"}) == {"error": {"code": "not_found", "message": "no order_id 1"}}
    assert bar.call("add_order_item", {"menu_item_id": "tea-1", "quantity": "1"})["error"]["code"] == "not_found"
    assert bar.call("add_order_item", {"quantity": 1})["error"]["code"] == "invalid_arguments"
    assert bar.call("brew", {})["error"]["code"] == "unknown_tool"
    assert bar.state() == []
    assert bar.call("get_menu_items", {"query": "a small CORTADO"})["menu_items"][0]["name"] == "Cortado"
    added = [
        bar.call("add_order_item", {"menu_item_id": "cortado-8837", "quantity": "1", "notes": note})
        for note in ("No  Foam", "hot")
    ]
    assert added[0]["order_id"] == "11147" and added[1]["order_id"] != "11147", "the row's own id, then a new one"
    bar.call("finish_order", {"order_id": "11147"})
    assert [order["is_finished"] for order in bar.state()] == [False, True]
    assert bar.state()[1]["items"][0]["notes"] == "no foam"
    bar.reset()
    assert bar.state() == []


def test_orders_made_in_another_order_end_in_the_same_state() -> None:
    row = next(row for row in coffee_rows() if len({c.name for c in expected_calls(row)} & {"add_order_item"}) == 1)
    adds = [
        {"menu_item_id": recorded.arguments["menu_item_id"], "quantity": quantity}
        for recorded in recorded_calls(row)
        if recorded.name == "add_order_item"
        for quantity in ("1", "2")
    ]
    states = []
    for order in (adds, adds[::-1]):
        bar = open_environment("coffee_bar", row)
        for arguments in order:
            assert "error" not in bar.call("add_order_item", arguments)
        states.append(bar.state())
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("name", "rows"), [("coffee_bar", "coffee"), ("task_service", "tasks"), ("recorded", "coffee")]
)
def test_a_row_played_as_it_stands_is_right(name: EnvironmentName, rows: str) -> None:
    given = coffee_rows()[:60] if rows == "coffee" else [*map(Row.model_validate, synthesize(1, 60, 3).test)]
    for row in given:
        wanted = reference(open_environment(name, row), row)
        assert is_right(wanted, reference(open_environment(name, row), row))
        if wanted.made and any(made.has_changed for made in wanted.made):
            assert not is_right(wanted, Run("answered", [], open_environment(name, row).state(), "Done."))


def test_recorded_tools_give_recorded_results_and_make_up_the_rest() -> None:
    row = coffee_rows()[0]
    first = recorded_calls(row)[0]
    tools = RecordedTools(row)
    assert tools.call(first.name, first.arguments) == first.result
    assert tools.call(first.name, first.arguments) == first.result, "the last result stays"
    assert tools.call("get_menu_items", {"query": "Tea"})["status"] == "success"
    assert tools.call("get_menu_items", {})["error"]["code"] == "invalid_arguments"
    assert [call["arguments"] for call in tools.state()] == [{"query": "Cortado"}, {"query": "Tea"}]


def test_a_row_without_a_workspace_is_the_users_fault() -> None:
    with pytest.raises(UserError, match="Today is"):
        open_environment("task_service", coffee_rows()[0])


def test_new_tasks_may_be_made_in_any_order() -> None:
    row = task_row()
    calls: list[tuple[str, JsonObject]] = [("create_task", {"title": title}) for title in ("Sow", "Reap")]
    assert run_of(row, *calls).state == run_of(row, *calls[::-1]).state
    assert run_of(row, *calls).state != run_of(row, calls[0], calls[0]).state


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_fault_changes_nothing_and_the_same_call_then_succeeds(kind: str) -> None:
    row = task_row()
    (call,) = expected_calls(row)
    environment = FaultyEnvironment(open_environment("task_service", row), Fault(kind, 1))  # type: ignore[arg-type]
    before = environment.state()
    assert not environment.has_failed
    assert "error" in environment.call(*call) and environment.state() == before and environment.has_failed
    assert "error" not in environment.call(*call) and environment.state() != before


def test_faults_follow_from_seed_and_row_at_the_asked_rate() -> None:
    drawn = [draw_fault(7, f"row {number}", 0.3, 3) for number in range(2000)]
    assert drawn == [draw_fault(7, f"row {number}", 0.3, 3) for number in range(2000)]
    faults = [fault for fault in drawn if fault]
    assert 540 <= len(faults) <= 660
    assert {fault.kind for fault in faults} == set(FAULT_KINDS) and {fault.call for fault in faults} == {1, 2, 3}
    assert draw_fault(7, "row", 1.0, 0) is None, "a row without calls meets no fault"


def test_recovery_is_told_by_state_and_words() -> None:
    row = task_row()
    (call,) = expected_calls(row)
    wanted = reference(open_environment("task_service", row), row)
    right = run_of(row, call)
    assert is_right(wanted, right) and recovery(right, right=True) == "retried"
    for text, told in (
        ("It timed out. Shall I try again?", "asked"),
        ("Sorry, I could not add it.", "gave_up"),
        ("Done: it is on the list.", "wrong"),
    ):
        assert recovery(run_of(row, text=text), right=False) == told
    assert recovery(right._replace(ending="too_many_turns"), right=False) == "wrong"


def test_a_miss_is_told_in_one_word() -> None:
    row = task_row()
    (call,) = expected_calls(row)
    wanted = reference(open_environment("task_service", row), row)
    other = call._replace(arguments=call.arguments | {"title": "Another"})
    failed = ("complete_task", {"task_id": "T-1"})
    for run, told in (
        (run_of(row), "stopped_early"),
        (run_of(row, failed), "claimed_done"),
        (run_of(row, other), "wrong_argument"),
        (run_of(row, call, call), "unneeded_call"),
        (run_of(row, ("list_tasks", {})), "wrong_tool"),
        (run_of(row, call)._replace(ending="too_many_turns"), "looped"),
        (run_of(row, call)._replace(ending="not_run"), "not_run"),
    ):
        assert not is_right(wanted, run) and cause(wanted, run) == told, (told, run)


def test_a_look_that_the_row_takes_must_be_taken_and_others_do_no_harm() -> None:
    rows = map(Row.model_validate, synthesize(1, 40, 3, "basic").test)
    row = next(row for row in rows if [c.name for c in expected_calls(row)] == ["list_tasks"])
    (call,) = expected_calls(row)
    wanted = reference(open_environment("task_service", row), row)
    assert is_right(wanted, run_of(row, ("list_tasks", {"status": "done"}), call))
    assert not is_right(wanted, run_of(row)) and cause(wanted, run_of(row)) == "stopped_early"
