"""The task API behaves, and comes back from a system message as it was."""

import doctest
from datetime import date
from random import Random
from typing import Any

import pytest

import data.task_api.service as service_module
import data.task_api.transcript as transcript_module
from data.task_api.service import TASK_TOOLS, TaskService
from data.task_api.wording import TRAIN_TITLES
from data.task_api.workspace import (
    Task,
    draw_tasks,
    numbered_tasks,
    parse_workspace,
    render_listed,
    render_numbered,
    render_today,
)
from data.user_error import UserError

TODAY = date(2026, 3, 14)
PLUMBER = Task("T-204", "Call the plumber", "2026-03-17", "high", "open")
RENT = Task("T-206", "Pay the rent | flat 2", None, "medium", "done")


@pytest.fixture
def service() -> TaskService:
    return TaskService([PLUMBER, RENT], TODAY)


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def test_created_tasks_continue_the_ids_and_get_medium_priority(service: TaskService) -> None:
    milk = {"task_id": "T-207", "title": "Buy oat milk", "due_date": None, "priority": "medium", "status": "open"}
    assert service.call("create_task", {"title": "Buy oat milk"}) == milk
    tasks = [PLUMBER.as_json(), RENT.as_json(), milk]
    assert service.state() == {"today": "2026-03-14", "tasks": tasks}


def test_an_update_changes_what_it_names_and_nothing_else(service: TaskService) -> None:
    changed = {**PLUMBER.as_json(), "due_date": "2026-03-14", "priority": "low"}
    arguments = {"task_id": "T-204", "due_date": "2026-03-14", "priority": "low"}
    assert service.call("update_task", arguments) == changed
    assert service.state()["tasks"] == [changed, RENT.as_json()]


def test_a_completed_task_cannot_be_completed_or_changed_again(service: TaskService) -> None:
    assert service.call("complete_task", {"task_id": "T-204"}) == {**PLUMBER.as_json(), "status": "done"}
    again = error("already_done", 'T-204 "Call the plumber" is already done')
    assert service.call("complete_task", {"task_id": "T-204"}) == again
    assert service.call("update_task", {"task_id": "T-204", "priority": "low"}) == again


def test_listing_filters_by_every_given_argument(service: TaskService) -> None:
    assert service.call("list_tasks", {}) == {"tasks": [PLUMBER.as_json(), RENT.as_json()]}
    assert service.call("list_tasks", {"status": "done"}) == {"tasks": [RENT.as_json()]}
    assert service.call("list_tasks", {"status": "done", "priority": "high"}) == {"tasks": []}


ALLOWED = "allowed: task_id, title, due_date, priority"
# Mistakes that the schema finds, as (tool, arguments, message), then those that need the state.
INVALID: list[tuple[str, Any, str]] = [
    ("create_task", {}, "missing argument: title"),
    ("create_task", {"title": ""}, "title must not be empty"),
    ("create_task", {"title": 3}, "title must be of type string, not 3"),
    ("create_task", ["a"], 'arguments must be of type object, not ["a"]'),
    ("create_task", None, "arguments must be of type object, not null"),
    ("update_task", {"task_id": "T-204", "due": "today"}, f"unknown argument due; {ALLOWED}"),
    ("update_task", {"task_id": "T-204", "due_date": "today"}, 'due_date must be YYYY-MM-DD, not "today"'),
    ("update_task", {"task_id": "T-204", "due_date": "20260320"}, 'due_date must be YYYY-MM-DD, not "20260320"'),
    ("update_task", {"task_id": "T-204", "due_date": "2026-02-30"}, 'due_date must be YYYY-MM-DD, not "2026-02-30"'),
    ("list_tasks", {"priority": "urgent"}, 'priority must be one of low, medium, high, not "urgent"'),
    ("complete_task", {"task_id": "204"}, 'task_id must be T- and digits, not "204"'),
]
PAST = {"title": "a", "due_date": "2026-03-13"}
MISTAKES: list[tuple[str, Any, str, str]] = [
    *((name, arguments, "invalid_arguments", message) for name, arguments, message in INVALID),
    ("add_task", {}, "unknown_tool", "no tool add_task; tools: create_task, update_task, complete_task, list_tasks"),
    ("create_task", PAST, "date_in_past", "due_date 2026-03-13 is before today, 2026-03-14"),
    ("update_task", {"task_id": "T-204"}, "nothing_to_change", "give at least one of title, due_date, priority"),
    ("complete_task", {"task_id": "T-2044"}, "not_found", 'no task T-2044; did you mean T-204 "Call the plumber"?'),
    ("complete_task", {"task_id": "T-999999"}, "not_found", "no task T-999999"),
]


@pytest.mark.parametrize(("name", "arguments", "code", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_explained_and_changes_nothing(
    service: TaskService, name: str, arguments: Any, code: str, message: str
) -> None:
    before = service.state()
    assert service.call(name, arguments) == error(code, message)
    assert service.state() == before


def test_every_tool_refuses_arguments_it_does_not_know() -> None:
    parameters = [tool["function"]["parameters"] for tool in TASK_TOOLS]
    assert [schema["additionalProperties"] for schema in parameters] == [False] * 4


def test_listed_tasks_come_back_from_the_text_around_them() -> None:
    for seed in range(50):
        tasks = draw_tasks(Random(seed), TRAIN_TITLES, TODAY)
        days = render_today(TODAY, weekdays=("none", "near", "coming")[seed % 3])
        text = f"You are an aide.\n{days}\n{render_listed(tasks)}\nBe kind."
        assert parse_workspace(text) == (TODAY, tasks)
        assert TaskService.from_system_text(text).state() == TaskService(tasks, TODAY).state()


def test_a_title_with_the_separator_and_an_empty_list_come_back() -> None:
    for tasks in ([PLUMBER, RENT], []):
        assert parse_workspace(f"{render_today(TODAY)}\n{render_listed(tasks)}") == (TODAY, tasks)


def test_a_numbered_workspace_comes_back_with_its_tasks() -> None:
    for number in range(50):
        text = f"{render_today(TODAY)}\n{render_numbered(number, TODAY)} Look up ids."
        assert parse_workspace(text) == (TODAY, numbered_tasks(number, TODAY))


def test_a_numbered_workspace_whose_tasks_have_changed_is_refused() -> None:
    text = f"{render_today(TODAY)}\nWorkspace 7041-ffff."
    with pytest.raises(UserError, match="workspace 7041 now holds other tasks"):
        TaskService.from_system_text(text)


@pytest.mark.parametrize("text", ["You are an aide.", render_today(TODAY)])
def test_a_text_without_a_workspace_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="in the system text"):
        TaskService.from_system_text(text)


def test_a_task_that_would_not_be_read_back_is_never_written() -> None:
    with pytest.raises(AssertionError, match="not be read back"):
        render_listed([PLUMBER._replace(title="two\nlines")])


def test_the_examples_in_the_docstrings_hold() -> None:
    assert [doctest.testmod(module).failed for module in (service_module, transcript_module)] == [0, 0]
