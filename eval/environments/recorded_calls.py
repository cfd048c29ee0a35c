"""The calls of a row beside the results that it holds for them."""

import json
from typing import Any, NamedTuple

from data.conversation import arguments_object, content_text
from data.row import JsonObject, Row


class RecordedCall(NamedTuple):
    name: str
    arguments: JsonObject
    result: Any
    """As JSON; a result that is no JSON stays text."""


def recorded_calls(row: Row) -> list[RecordedCall]:
    """In order; a call whose result the row does not hold is left out."""
    results = {
        message.tool_call_id: content_text(message.content) for message in row.messages if message.role == "tool"
    }
    return [
        RecordedCall(call.function.name, arguments_object(call.function.arguments), _value(results[call.id]))
        for message in row.messages
        for call in message.tool_calls or []
        if call.id in results
    ]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
