"""OpenAI chat messages as people bring them: object arguments, tools as text, deprecated functions, no ids.

    {"messages": [{"role": "user", "content": "Hi"}, ...], "tools": [...]}

Calls without an id are paired with results without a `tool_call_id` in order, as chat templates pair them.
"""

from collections import Counter
from typing import Any

from data.layouts.draft import Draft
from data.layouts.layout import Layout, roles
from data.layouts.literal import json_text
from data.layouts.record_error import RecordError, as_list, as_object
from data.layouts.tool_list import read_tools
from data.legacy_functions import convert
from data.row import JsonObject

ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_REASONING = ("reasoning_content", "reasoning", "thinking")
_MADE = "call_{}"


def _fits(record: JsonObject) -> bool:
    found = roles(record, "messages", "role")
    return bool(found) and found <= ROLES and not _has_value_parts(record) and "choices" not in record


def _has_value_parts(record: JsonObject) -> bool:
    contents = [m.get("content") for m in record["messages"] if isinstance(m, dict)]
    return any(isinstance(c, list) and any(isinstance(p, dict) and "value" in p for p in c) for c in contents)


def draft_chat(record: JsonObject) -> Draft:
    """The draft of `messages` with `tools` or, deprecated, `functions`."""
    chat = _Chat()
    for message in _with_tool_calls(as_list(record.get("messages"), "messages")):
        chat.add(as_object(message, "a message"))
    if record.get("functions") and record.get("tools"):
        raise RecordError("tools", "functions and tools cannot be mixed", "keep tools")
    given = record.get("tools") if record.get("tools") is not None else record.get("functions")
    tools = None if given is None else read_tools(given, chat.notes)
    return Draft(chat.messages, tools, chat.notes, record.get("parallel_tool_calls"))


def _with_tool_calls(messages: list[Any]) -> list[Any]:
    """The messages with calls and results in place of `function_call` and role `function`."""
    converted = convert({"messages": messages})
    if converted.faults:
        fault = converted.faults[0]
        where = f"message {fault.message}: " if fault.message else ""
        raise RecordError("results", where + fault.reason, fault.fix)
    assert converted.row is not None, "a row without faults is converted"
    return as_list(converted.row["messages"], "messages")


class _Chat:
    def __init__(self) -> None:
        self.messages: list[JsonObject] = []
        self.notes: Counter[str] = Counter()
        self._num_calls = 0
        self._open: list[tuple[str, Any]] = []
        """Ids made up, with the names called, that no result answered yet."""

    def add(self, source: JsonObject) -> None:
        message = {key: value for key, value in source.items() if value is not None or key == "content"}
        for key in _REASONING:
            if key in message:
                self.notes["reasoning left out"] += bool(message.pop(key))
        if message.get("tool_calls") == []:
            del message["tool_calls"]
        if "tool_calls" in message:
            self._open = []
            message["tool_calls"] = [self._call(call) for call in as_list(message["tool_calls"], "tool_calls")]
        if message.get("role") == "tool":
            self._answer(message)
        self.messages.append(message)

    def _call(self, value: Any) -> JsonObject:
        call = {key: found for key, found in as_object(value, "a call").items() if found is not None and key != "index"}
        function = dict(as_object(call.get("function"), "the function of a call"))
        if isinstance(function.get("arguments"), dict):
            function["arguments"] = json_text(function["arguments"])
        self._num_calls += 1
        if "id" not in call:
            call["id"] = _MADE.format(self._num_calls)
            self._open.append((call["id"], function.get("name")))
        return {"id": call["id"], "type": "function"} | call | {"function": function}

    def _answer(self, message: JsonObject) -> None:
        if isinstance(message.get("content"), dict):
            message["content"] = json_text(message["content"])
        if "tool_call_id" in message:
            return
        if not self._open:
            raise RecordError("results", "a result without tool_call_id answers no call", "name the call it answers")
        call_id, called = self._open.pop(0)
        if message.get("name", called) != called:
            raise RecordError(
                "results", f"a result of {message['name']!r} is at a call of {called!r}", "mend the order"
            )
        message["tool_call_id"] = call_id


OPENAI_CHAT = Layout(
    "openai",
    "messages and tools of the OpenAI chat API, or functions and function_call",
    _fits,
    draft_chat,
    frozenset({"messages", "tools", "functions", "parallel_tool_calls"}),
)
