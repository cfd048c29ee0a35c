"""OpenAI roles with parts of `type` and `value`, as LLaMA-Factory's reasoning data has them.

    {"messages": [{"role": "assistant", "content": [{"type": "reasoning", "value": "..."}, {"type": "tool_call",
     "value": "{\\"name\\": ..., \\"arguments\\": {...}}"}]}], "tools": "[...]"}

Reasoning is left out and counted: rows have no place for it.
"""

from typing import Any

from data.layouts.draft import Call, Draft, Turns, read_call
from data.layouts.layout import Layout
from data.layouts.literal import read_value
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.tool_list import read_tools
from data.row import JsonObject


def _fits(record: JsonObject) -> bool:
    messages = record.get("messages")
    contents = [m.get("content") for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    return any(isinstance(c, list) and any(isinstance(p, dict) and "value" in p for p in c) for c in contents)


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    for item in as_list(record["messages"], "messages"):
        message = as_object(item, "a message")
        if unknown := set(message) - {"role", "content"}:
            raise RecordError("form", f"key {min(unknown)!r} of a message is not known", "keep role and content")
        role = as_text(message.get("role"), "role")
        said, calls = _parts(as_list(message.get("content"), "content"), turns)
        if calls and role != "assistant":
            raise RecordError("form", f"a {role} message calls a tool", "only the assistant calls")
        if calls:
            turns.call(calls, said)
        elif role == "tool":
            turns.result(said)
        else:
            turns.say(role, said)
    tools = None if record.get("tools") is None else read_tools(record["tools"], turns.notes)
    return Draft(turns.finished(), tools, turns.notes)


def _parts(parts: list[Any], turns: Turns) -> tuple[str, list[Call]]:
    said: list[str] = []
    calls: list[Call] = []
    for item in parts:
        part = as_object(item, "a part")
        kind, value = part.get("type"), as_text(part.get("value"), "the value of a part")
        if kind == "text":
            if calls:
                raise RecordError("order", "text stands behind a call", "put the text before the calls")
            said.append(value)
        elif kind == "tool_call":
            calls.append(read_call(read_value(value, "a call")))
        elif kind == "reasoning":
            turns.notes["reasoning left out"] += 1
        else:
            raise RecordError("form", f"a part has the type {kind!r}", "text, reasoning and tool_call are read")
    return "\n".join(said), calls


CONTENT_PARTS = Layout(
    "content_parts",
    "messages whose content is parts of type and value (LLaMA-Factory)",
    _fits,
    _draft,
    frozenset({"messages", "tools"}),
)
