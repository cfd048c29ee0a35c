"""The tasks a conversation starts with, as lines of the system message, and back from them.

A row must bring its own initial state, since evaluation executes a model's calls and compares end states. Two forms:

* listed: every task stands in the text, one line each, so the id of a task named by title is found without a call;
* numbered: `Workspace 7041-3fa9.` names tasks that only `list_tasks` shows. The number seeds them; the hex digits are
  their checksum: if the word banks have changed since the row was written, reading it fails, it never guesses.

Both carry today's date. `parse_workspace` finds either form anywhere in a longer system text.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Any, Literal, NamedTuple

from data.row import JsonObject
from data.task_api.wording import HELD_OUT_TITLES, TRAIN_TITLES, WEEKDAYS
from data.user_error import UserError

Priority = Literal["low", "medium", "high"]
Status = Literal["open", "done"]
Weekdays = Literal["none", "near", "coming"]
"""Which days the system text names by weekday: none, today and tomorrow, or the coming days too."""
PRIORITIES: tuple[Priority, ...] = ("low", "medium", "high")

_TODAY = re.compile(r"^(?:Today|Dates: today) is (\d{4}-\d\d-\d\d)\b", re.MULTILINE)
_NUMBER = re.compile(r"^Workspace (\d+)-([0-9a-f]{4})\.", re.MULTILINE)
_TASK = re.compile(
    r"(?P<task_id>T-\d{3,}) \| (?P<title>.+) \| (?P<priority>low|medium|high)"
    r" \| (?:no due date|due (?P<due_date>\d{4}-\d\d-\d\d)) \| (?P<status>open|done)"
)


class Task(NamedTuple):
    """One task; `due_date` is an ISO date."""

    task_id: str
    title: str
    due_date: str | None
    priority: Priority
    status: Status

    def as_json(self) -> JsonObject:
        return self._asdict()


class Workspace(NamedTuple):
    today: date
    tasks: list[Task]


def render_today(today: date, *, weekdays: Weekdays = "near") -> str:
    """Tomorrow and the days that a bare weekday name can mean are spelled out: no request needs date arithmetic."""
    tomorrow = today + timedelta(days=1)
    if weekdays == "none":
        return f"Dates: today is {today}, tomorrow is {tomorrow}."  # the words as users write them
    line = f"Today is {today} ({weekday(today)}), tomorrow is {tomorrow} ({weekday(tomorrow)})."
    if weekdays == "near":
        return line
    return line + " Coming days: " + ", ".join(f"{weekday(day)} {day}" for day in coming_days(today)) + "."


def render_listed(tasks: Sequence[Task]) -> str:
    if not tasks:
        return "Tasks: none."
    return "\n".join(["Tasks:", *map(_render_task, tasks)])


def render_numbered(number: int, today: date) -> str:
    return f"Workspace {number}-{_checksum(numbered_tasks(number, today))}."


def parse_workspace(text: str) -> Workspace:
    """The inverse of `render_today` with `render_listed` or `render_numbered`."""
    if (found := _TODAY.search(text)) is None:
        raise UserError("no line `Today is YYYY-MM-DD` in the system text", fix="use rows made by data.synthesize")
    today = date.fromisoformat(found[1])
    if (numbered := _NUMBER.search(text)) is not None:
        return Workspace(today, _checked_tasks(int(numbered[1]), today, numbered[2]))
    lines = text.splitlines()
    if "Tasks: none." in lines:
        return Workspace(today, [])
    if "Tasks:" not in lines:
        raise UserError("neither tasks nor a workspace in the system text", fix="use rows made by data.synthesize")
    return Workspace(today, _parse_tasks(lines[lines.index("Tasks:") + 1 :]))


def numbered_tasks(number: int, today: date) -> list[Task]:
    """The tasks of a workspace: even numbers take training titles, odd ones held-out titles."""
    return draw_tasks(Random(number), HELD_OUT_TITLES if number % 2 else TRAIN_TITLES, today)


def draw_tasks(rng: Random, titles: Sequence[str], today: date) -> list[Task]:
    """Two or three open tasks and, one time in three, a done one; ids rise, with gaps."""
    statuses: list[Status] = ["open"] * rng.choice([2, 3])
    if rng.random() < 1 / 3:
        statuses.insert(rng.randrange(len(statuses) + 1), "done")
    number, tasks = rng.randrange(101, 900), []
    for title, status in zip(rng.sample(titles, len(statuses)), statuses, strict=True):
        due_date = str(today + timedelta(days=rng.randrange(31))) if rng.random() < 0.6 else None
        tasks.append(Task(f"T-{number}", title, due_date, rng.choice(PRIORITIES), status))
        number += rng.randrange(1, 9)
    return tasks


def coming_days(today: date) -> list[date]:
    """The days that users name by their weekday; few, since each costs tokens in the row."""
    return [today + timedelta(days=ahead) for ahead in range(2, 5)]


def weekday(day: date) -> str:
    """In English whatever the locale, unlike `strftime`."""
    return WEEKDAYS[day.weekday()]


def _render_task(task: Task) -> str:
    due = f"due {task.due_date}" if task.due_date else "no due date"
    line = f"{task.task_id} | {task.title} | {task.priority} | {due} | {task.status}"
    assert _TASK.fullmatch(line), f"a task line that would not be read back: {line!r}"
    return line


def _parse_tasks(lines: Sequence[str]) -> list[Task]:
    tasks = []
    for line in lines:
        if (found := _TASK.fullmatch(line)) is None:
            break
        fields: dict[str, Any] = found.groupdict()
        tasks.append(Task(**fields))
    return tasks


def _checked_tasks(number: int, today: date, checksum: str) -> list[Task]:
    tasks = numbered_tasks(number, today)
    if _checksum(tasks) != checksum:
        raise UserError(
            f"workspace {number} now holds other tasks than when the row was written",
            fix="make the rows again with data.synthesize",
        )
    return tasks


def _checksum(tasks: Sequence[Task]) -> str:
    return hashlib.sha256("\n".join(map(_render_task, tasks)).encode()).hexdigest()[:4]
