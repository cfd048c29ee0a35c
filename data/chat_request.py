"""The chat completion request an agent would send at some point of a row."""

import json

from data.conversation import content_text
from data.row import JsonObject, Message, Row, ToolCall


def chat_request(row: Row, num_messages: int) -> JsonObject:
    """The row's first messages and its tools as the API takes them: as written, but arguments as JSON text.

    Neither model nor sampling is set.
    """
    request: JsonObject = {"messages": [_message(message) for message in row.messages[:num_messages]]}
    if row.tools:
        request["tools"] = [tool.model_dump(exclude_unset=True) for tool in row.tools]
        if not row.parallel_tool_calls:
            request["parallel_tool_calls"] = False
    return request


def _message(message: Message) -> JsonObject:
    # Only what training adds is taken out; nulls, parts and unknown nothings stay as an agent's history has them.
    out = message.model_dump(exclude_unset=True, exclude={"weight", "tool_calls", "refusal"})
    if message.tool_calls is not None:
        out["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.refusal and not content_text(message.content):
        # A served model has no refusal channel, so in an agent's history its refusal stands as text.
        out["content"] = message.refusal
    return out


def _call(call: ToolCall) -> JsonObject:
    arguments = call.function.arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call.id, "type": call.type, "function": {"name": call.function.name, "arguments": text}}
