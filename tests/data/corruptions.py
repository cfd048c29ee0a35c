"""Named kinds of corruption: how a good row is spoiled, and the rule, message and key that must tell it.

Three good rows: COFFEE (a written order: calls one after the other), PARALLEL (two calls in a turn) and TASK (a new
task with a date and a priority).
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from data.row import JsonObject
from data.task_api.scenarios import synthesize

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "taskmaster_coffee"
COFFEE: JsonObject = json.loads((SAMPLES / "test.jsonl").read_text().splitlines()[0])
_MADE = synthesize(200, 5, 7, "full").train


def _first(is_wanted: Callable[[JsonObject], bool]) -> JsonObject:
    """The first made row whose first assistant message is as wanted."""
    return next(row for row in _MADE if is_wanted(row["messages"][2]))


PARALLEL = _first(lambda message: len(message.get("tool_calls") or []) == 2)
TASK = _first(
    lambda message: (
        {"title", "due_date", "priority"}
        == {key for call in message.get("tool_calls") or [] for key in json.loads(call["function"]["arguments"])}
    )
)
GOOD_ROWS = [COFFEE, PARALLEL, TASK]


class Corruption(NamedTuple):
    good: JsonObject
    spoil: Callable[[JsonObject], Any]
    """Changes its own copy; what it returns, if anything, is written in place of the row: text or bytes."""
    rule: str
    message: int | None = None
    key: str = ""

    def line(self) -> bytes:
        row = deepcopy(self.good)
        text = self.spoil(row)
        text = json.dumps(row, ensure_ascii=False) if text is None else text
        return text if isinstance(text, bytes) else str(text).encode()


def put(number: int, **keys: Any) -> Callable[[JsonObject], None]:
    """Set keys of a message, 1-based as in findings."""
    return lambda row: row["messages"][number - 1].update(keys)


def drop(number: int, key: str = "") -> Callable[[JsonObject], None]:
    """Take a message out, or a key of it."""
    return lambda row: (
        row["messages"][number - 1].pop(key) and None if key else row["messages"].pop(number - 1) and None
    )


def in_call(number: int, position: int = 0, /, **keys: Any) -> Callable[[JsonObject], None]:
    return lambda row: row["messages"][number - 1]["tool_calls"][position].update(keys)


def in_function(number: int, **keys: Any) -> Callable[[JsonObject], None]:
    return lambda row: row["messages"][number - 1]["tool_calls"][0]["function"].update(keys)


def in_arguments(number: int, **keys: Any) -> Callable[[JsonObject], None]:
    def spoil(row: JsonObject) -> None:
        function = row["messages"][number - 1]["tool_calls"][0]["function"]
        function["arguments"] = json.dumps(json.loads(function["arguments"]) | keys)

    return spoil


def rename_argument(number: int, old: str, new: str) -> Callable[[JsonObject], None]:
    def spoil(row: JsonObject) -> None:
        function = row["messages"][number - 1]["tool_calls"][0]["function"]
        function["arguments"] = function["arguments"].replace(f'"{old}"', f'"{new}"')

    return spoil


def in_text(change: Callable[[str], str | bytes]) -> Callable[[JsonObject], str | bytes]:
    return lambda row: change(json.dumps(row, ensure_ascii=False))


def in_row(**keys: Any) -> Callable[[JsonObject], None]:
    return lambda row: row.update(keys)


def swap(first: int, second: int) -> Callable[[JsonObject], None]:
    def spoil(row: JsonObject) -> None:
        messages = row["messages"]
        messages[first - 1], messages[second - 1] = messages[second - 1], messages[first - 1]

    return spoil


def encode_again(row: JsonObject) -> None:
    function = row["messages"][2]["tool_calls"][0]["function"]
    function["arguments"] = json.dumps(function["arguments"])


def null_fill(row: JsonObject) -> None:
    """What a table library makes of rows whose calls have different arguments."""
    keys = {key for call in _calls(row) for key in json.loads(call["arguments"])}
    for call in _calls(row):
        given = json.loads(call["arguments"])
        call["arguments"] = json.dumps({key: given.get(key) for key in sorted(keys)})


def _calls(row: JsonObject) -> Iterator[JsonObject]:
    for message in row["messages"]:
        for call in message.get("tool_calls") or []:
            yield call["function"]


def tool(index: int, spoil: Callable[[JsonObject], Any]) -> Callable[[JsonObject], None]:
    return lambda row: spoil(row["tools"][index]["function"]) and None
