"""The one form a row takes before it is rendered, shared by training, the checks and the parity test.

It applies exactly what vLLM's front end applies to a request before its template runs
(vllm/renderers/chat_utils.py, 0.32): argument text becomes an object, text parts are joined by newlines (empty
ones are skipped), null content becomes "", an empty `tool_calls` disappears. What vLLM would coerce silently
(arguments that are no object become {}) is an error in `data.rules.rows` before it gets here.
"""

import json
from typing import NamedTuple

from data.row import Content, FunctionSpec, JsonObject, Message, Row
from data.strict_json import load_json
from data.user_error import UserError


class Call(NamedTuple):
    name: str
    arguments: JsonObject


class Conversation(NamedTuple):
    messages: list[JsonObject]
    """For the chat template: `role`, `content` (always text) and, on assistant messages with calls, `tool_calls`."""
    tools: list[JsonObject] | None
    is_trained: list[bool]
    """One flag a message: is it an assistant message whose tokens carry loss?"""


def conversation(row: Row) -> Conversation:
    """Bring a checked row to the form that is rendered."""
    messages = [_message(message) for message in row.messages]
    tools = [_tool(tool.function) for tool in row.tools] if row.tools else None
    return Conversation(messages, tools, [message.is_trained for message in row.messages])


def calls_of(message: Message) -> list[Call]:
    """The calls of a message with their arguments as objects, in order."""
    return [Call(call.function.name, arguments_object(call.function.arguments)) for call in message.tool_calls or []]


def arguments_object(arguments: str | JsonObject) -> JsonObject:
    """Arguments as an object; "" counts as {}. Raises UserError for any other JSON, as vLLM would make {} of it."""
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = load_json(arguments or "{}")
    except ValueError as error:
        reason = f"arguments is not a JSON object: {error}"
        raise UserError(reason, fix="write one JSON object, for example {}") from error
    if isinstance(parsed, str):
        raise UserError(
            "arguments is not a JSON object: it is JSON text of a text", fix="JSON-encode it once, not twice"
        )
    if not isinstance(parsed, dict):
        kind = "an array" if isinstance(parsed, list) else json.dumps(parsed)
        raise UserError(f"arguments is not a JSON object: it is {kind}", fix="write one JSON object")
    return parsed


def content_text(content: Content | None) -> str:
    """Content as text: parts joined by newlines, empty parts skipped, null as ""."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content if part.text)


def _message(message: Message) -> JsonObject:
    # Open models have no refusal channel: the refusal is what the assistant said.
    out: JsonObject = {"role": message.role, "content": content_text(message.content) or message.refusal or ""}
    if message.tool_calls:
        out["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls_of(message)
        ]
    return out


def _tool(function: FunctionSpec) -> JsonObject:
    given = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {"type": "function", "function": {key: value for key, value in given.items() if value is not None}}
