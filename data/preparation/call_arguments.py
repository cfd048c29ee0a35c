"""The calls of a message with other arguments; JSON text stays text, an object an object."""

import json
from collections.abc import Callable

from data.conversation import arguments_object
from data.row import JsonObject, Message, ToolCall

Change = Callable[[str, JsonObject], JsonObject]
"""From the name of a tool and the arguments of a call to its new arguments."""


def with_arguments(message: Message, change: Change) -> Message:
    if not message.tool_calls:
        return message
    return message.model_copy(update={"tool_calls": [_changed(call, change) for call in message.tool_calls]})


def _changed(call: ToolCall, change: Change) -> ToolCall:
    given = call.function.arguments
    arguments = change(call.function.name, arguments_object(given))
    written = json.dumps(arguments, ensure_ascii=False) if isinstance(given, str) else arguments
    return call.model_copy(update={"function": call.function.model_copy(update={"arguments": written})})
