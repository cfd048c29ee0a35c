"""An executable task API held in memory, with real state and errors: it makes the rows and runs calls in evaluation.

>>> service = TaskService([], today=date(2026, 3, 14))
>>> service.call("create_task", {"title": "Buy oat milk"})["task_id"]
'T-101'
>>> service.call("complete_task", {"task_id": "T-102"})
{'error': {'code': 'not_found', 'message': 'no task T-102; did you mean T-101 "Buy oat milk"?'}}
"""

import difflib
import json
from collections.abc import Iterable
from datetime import date
from typing import Any, Self

from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from data.row import JsonObject
from data.task_api.workspace import Task, parse_workspace

_TASK_ID = {"type": "string", "pattern": "^T-[0-9]{3,}$"}
_TITLE = {"type": "string", "minLength": 1, "description": "As the user wrote it"}
_DUE_DATE = {"type": "string", "format": "date"}
_PRIORITY = {"type": "string", "enum": ["low", "medium", "high"]}
_STATUS = {"type": "string", "enum": ["open", "done"]}


def _tool(name: str, description: str, properties: JsonObject, required: list[str]) -> JsonObject:
    # additionalProperties: false makes a misspelt argument an error that the model can mend, not a silent no-op.
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TASK_TOOLS: list[JsonObject] = [
    _tool("create_task", "Add a task.", {"title": _TITLE, "due_date": _DUE_DATE, "priority": _PRIORITY}, ["title"]),
    _tool(
        "update_task",
        "Change an open task.",
        {"task_id": _TASK_ID, "title": _TITLE, "due_date": _DUE_DATE, "priority": _PRIORITY},
        ["task_id"],
    ),
    _tool("complete_task", "Mark a task as done.", {"task_id": _TASK_ID}, ["task_id"]),
    _tool("list_tasks", "List tasks, filtered.", {"status": _STATUS, "priority": _PRIORITY}, []),
]

_SCHEMAS: dict[str, JsonObject] = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TASK_TOOLS}


class _CallError(Exception):
    """A mistake of the caller; it leaves `call` as an error object."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class TaskService:
    """A failed call changes nothing. New ids continue from the highest one, so the same calls give the same bytes."""

    def __init__(self, tasks: Iterable[Task], today: date) -> None:
        self.today = today
        self._tasks = {task.task_id: task for task in tasks}

    @classmethod
    def from_system_text(cls, text: str) -> Self:
        """The service as it was before the first call of the row whose system message is `text`."""
        workspace = parse_workspace(text)
        return cls(workspace.tasks, workspace.today)

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        """The result, or `{"error": {"code", "message"}}`; whatever a model made up, it never raises."""
        try:
            return self._run(name, arguments)
        except _CallError as error:
            return {"error": {"code": error.code, "message": str(error)}}

    def state(self) -> JsonObject:
        """Equal for two services exactly if they hold the same tasks on the same day."""
        return {"today": str(self.today), "tasks": [task.as_json() for _, task in sorted(self._tasks.items())]}

    def _run(self, name: str, arguments: JsonObject) -> JsonObject:
        if name not in _SCHEMAS:
            raise _CallError("unknown_tool", f"no tool {name}; tools: {', '.join(_SCHEMAS)}")
        _check_arguments(_SCHEMAS[name], arguments)
        self._check_due_date(arguments)
        match name:
            case "create_task":
                return self._create(arguments)
            case "update_task":
                return self._update(arguments)
            case "complete_task":
                return self._store(self._open_task(arguments["task_id"])._replace(status="done"))
            case _:
                return self._list(arguments)

    def _create(self, arguments: JsonObject) -> JsonObject:
        highest = max((int(task_id.removeprefix("T-")) for task_id in self._tasks), default=100)
        new = Task(f"T-{highest + 1}", arguments["title"], arguments.get("due_date"), "medium", "open")
        return self._store(new._replace(priority=arguments.get("priority", new.priority)))

    def _update(self, arguments: JsonObject) -> JsonObject:
        changes = {key: value for key, value in arguments.items() if key != "task_id"}
        task = self._open_task(arguments["task_id"])
        if not changes:
            raise _CallError("nothing_to_change", "give at least one of title, due_date, priority")
        return self._store(task._replace(**changes))

    def _list(self, arguments: JsonObject) -> JsonObject:
        tasks = [task.as_json() for task in self._tasks.values()]
        return {"tasks": [task for task in tasks if arguments.items() <= task.items()]}

    def _store(self, task: Task) -> JsonObject:
        self._tasks[task.task_id] = task
        return task.as_json()

    def _open_task(self, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise _CallError("not_found", f"no task {task_id}{self._suggestion(task_id)}")
        if task.status == "done":
            raise _CallError("already_done", f'{task_id} "{task.title}" is already done')
        return task

    def _suggestion(self, task_id: str) -> str:
        closest = difflib.get_close_matches(task_id, self._tasks, n=1, cutoff=0.6)
        return f'; did you mean {closest[0]} "{self._tasks[closest[0]].title}"?' if closest else ""

    def _check_due_date(self, arguments: JsonObject) -> None:
        due_date = arguments.get("due_date")
        if due_date is not None and date.fromisoformat(due_date) < self.today:
            raise _CallError("date_in_past", f"due_date {due_date} is before today, {self.today}")


def _check_arguments(schema: JsonObject, arguments: JsonObject) -> None:
    errors = list(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(arguments))
    if errors:
        first = min(errors, key=lambda error: (error.json_path, str(error.validator)))
        raise _CallError("invalid_arguments", _explain(first))


def _explain(error: ValidationError) -> str:
    """One line that says how to mend the call: the model that made it reads it."""
    name = ".".join(map(str, error.absolute_path)) or "arguments"
    # Typed loosely: what they hold depends on the rule that was broken.
    instance: Any = error.instance
    rule: Any = error.validator_value
    got = json.dumps(instance)
    match error.validator:
        case "enum":
            return f"{name} must be one of {', '.join(rule)}, not {got}"
        case "format":
            return f"{name} must be YYYY-MM-DD, not {got}"
        case "pattern":
            return f"{name} must be T- and digits, not {got}"
        case "required":
            return f"missing argument: {', '.join(key for key in rule if key not in instance)}"
        case "additionalProperties":
            allowed = list(error.schema["properties"])  # type: ignore[index]  # a schema may be a bool; ours is not
            unknown = [key for key in instance if key not in allowed]
            return f"unknown argument {', '.join(unknown)}; allowed: {', '.join(allowed)}"
        case "minLength":
            return f"{name} must not be empty"
        case _:
            return f"{name} must be of type {rule}, not {got}"
