"""Rows in the layout before tools (S20): `functions`, `function_call` and role `function`, brought to today's."""

import re
from typing import Any, NamedTuple

from data.row import JsonObject
from data.rules.findings import Fault

MIXED = Fault("form", "functions and tools cannot be mixed", fix="write the row with tools alone")
NUMBER = Fault(
    "form", "Expected a list of 1 to 128 functions", key="functions", fix="leave it out where there are none"
)


class Converted(NamedTuple):
    row: JsonObject | None
    """None when it cannot be told what was meant."""
    faults: list[Fault]


def is_legacy(row: JsonObject) -> bool:
    return "functions" in row or any(map(_is_legacy_message, _messages(row)))


def convert(row: JsonObject) -> Converted:
    """The row with tools; call ids are made up, and what has the wrong type is left for the form rules to tell."""
    if row.get("functions") is None and not any(map(_is_legacy_message, _messages(row))):
        return Converted({key: value for key, value in row.items() if key != "functions"}, [])
    if row.get("tools") or any(
        message.get("tool_calls") or message.get("role") == "tool" for message in _messages(row)
    ):
        return Converted(None, [MIXED])
    converted = {key: value for key, value in row.items() if key not in ("functions", "tools")}
    functions = row.get("functions")
    if functions is not None:
        if not isinstance(functions, list) or not 1 <= len(functions) <= 128:
            return Converted(None, [NUMBER])
        converted["tools"] = [{"type": "function", "function": function} for function in functions]
    if not isinstance(row.get("messages"), list):
        return Converted(converted, [])
    messages, faults = _converted_messages(row["messages"])
    return Converted(converted | {"messages": messages}, faults)


def _converted_messages(given: list[Any]) -> tuple[list[Any], list[Fault]]:
    messages: list[Any] = []
    faults: list[Fault] = []
    open_call: tuple[str, Any] | None = None  # its id and name
    for number, message in enumerate(given, start=1):
        if not isinstance(message, dict) or not _is_legacy_message(message):
            open_call = None
            messages.append(message)
        elif message.get("role") == "function":
            if open_call and message.get("name") != open_call[1]:
                reason = f"answers {message.get('name')!r}, but the call before it is to {open_call[1]!r}"
                faults.append(Fault("tool_call_id", reason, number, "name", "name the function that was called"))
            messages.append(_result(message, open_call[0] if open_call else f"no_call_{number}"))
            open_call = None
        else:
            call = message["function_call"]
            open_call = (f"call_{number}", call.get("name") if isinstance(call, dict) else None)
            messages.append(_caller(message, open_call[0]))
    return messages, faults


def as_written(fault: Fault) -> Fault:
    """A fault of the converted row under the keys that the user wrote."""
    key = re.sub(r"^tools\[(\d+)\]\.function", r"functions[\1]", fault.key)
    key = re.sub(r"^tool_calls\[0\](\.function)?", "function_call", key)
    return fault._replace(
        key={"tools": "functions", "tool_calls": "function_call", "tool_call_id": "name"}.get(key, key)
    )


def _messages(row: JsonObject) -> list[JsonObject]:
    messages = row.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _is_legacy_message(message: JsonObject) -> bool:
    return message.get("role") == "function" or bool(message.get("function_call"))


def _result(message: JsonObject, call_id: str) -> JsonObject:
    """The function's name stays: on a result it is neither rendered nor refused. Null content is an empty result."""
    content = message.get("content")
    return message | {"role": "tool", "tool_call_id": call_id, "content": "" if content is None else content}


def _caller(message: JsonObject, call_id: str) -> JsonObject:
    kept = {key: value for key, value in message.items() if key != "function_call"}
    return kept | {"tool_calls": [{"id": call_id, "type": "function", "function": message["function_call"]}]}
