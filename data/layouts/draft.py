"""A record on its way to a row: messages with ids made up where the layout has none, tools, and what was left out."""

from collections import Counter
from typing import Any, NamedTuple

from data.layouts.literal import json_text
from data.layouts.record_error import RecordError, as_object, as_text
from data.row import JsonObject


class Draft(NamedTuple):
    messages: list[JsonObject]
    tools: list[JsonObject] | None
    """None: the record has no tool list; []: it has an empty one."""
    notes: Counter[str]
    """What the row leaves out of the record or holds in another form, counted."""
    parallel_tool_calls: bool | None = None


class Call(NamedTuple):
    name: str
    arguments: str | JsonObject


def read_call(value: Any, arguments: str = "arguments") -> Call:
    """`{"name": ..., "arguments": {...}}`, the arguments as an object or as JSON text."""
    call = as_object(value, "a call")
    if unknown := set(call) - {"name", arguments, "id"}:
        raise RecordError("call", f"key {min(unknown)!r} of a call is not known", f"keep name and {arguments}")
    if arguments not in call:
        raise RecordError("call", f"a call has no {arguments}", "mend the call")
    if not isinstance(call[arguments], str | dict):
        raise RecordError("arguments", f"the {arguments} of a call are no object", "mend the call")
    return Call(as_text(call.get("name"), "the name of a call"), call[arguments])


class Turns:
    """Messages in the making. A result answers the oldest open call: layouts without ids have no other order."""

    def __init__(self) -> None:
        self.messages: list[JsonObject] = []
        self.notes: Counter[str] = Counter()
        self._open: list[str] = []
        self._num_calls = 0
        self._num_results = 0

    def say(self, role: str, text: str) -> None:
        self._require_answers()
        self.messages.append({"role": role, "content": text})

    def call(self, calls: list[Call], text: str = "") -> None:
        """One assistant turn that calls, with the text it says before."""
        self._require_answers()
        self.messages.append({"role": "assistant", "content": text or None})
        self._add(calls)

    def join_call(self, calls: list[Call]) -> None:
        """Calls of a layout that keeps an assistant's text and each of its calls in records of their own.

        What stands side by side, with nobody else speaking between, is one turn: the text, then the calls.
        """
        if self.messages and self.messages[-1]["role"] == "assistant":
            self._add(calls)
        else:
            self.call(calls)

    def result(self, text: str) -> None:
        if not self._open:
            raise RecordError("results", "a result answers no call", "give each call one result, in the calls' order")
        self.messages.append({"role": "tool", "tool_call_id": self._open.pop(0), "content": text})
        self._num_results += 1

    def finished(self) -> list[JsonObject]:
        """All messages; the last may be calls that nothing answers."""
        if self._open and self._num_results:
            self._refuse_open()
        return self.messages

    def _add(self, calls: list[Call]) -> None:
        last = self.messages[-1]
        for call in calls:
            self._num_calls += 1
            call_id = f"call_{self._num_calls}"
            arguments = call.arguments if isinstance(call.arguments, str) else json_text(call.arguments)
            function = {"name": call.name, "arguments": arguments}
            last.setdefault("tool_calls", []).append({"id": call_id, "type": "function", "function": function})
            self._open.append(call_id)
        self._num_results = 0

    def _require_answers(self) -> None:
        if self._open:
            self._refuse_open()

    def _refuse_open(self) -> None:
        num_calls = self._num_results + len(self._open)
        raise RecordError(
            "results",
            f"a turn has {num_calls} call{'s' * (num_calls > 1)} and {self._num_results} results",
            "give each call one result, in the calls' order",
        )
