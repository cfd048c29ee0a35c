"""What a row holds that must stand in its rendered text: the guard against templates that drop tools or calls."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from data.row import JsonObject
from data.strict_json import to_json

# Keywords that steer a server or a form, not the model; the canonical tool list leaves them out.
_UNRENDERED = {"title", "strict"}
_MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}


class Content(NamedTuple):
    what: str
    text: str


def lost_of_tools(tools: list[JsonObject], text: str) -> str:
    """The first thing of the tools that the rendered text does not hold, named, or ""; they may stand anywhere.

    Looked for is all that the model needs: name, description, each schema field with its values.
    """
    for tool in tools:
        name, description = tool["function"]["name"], tool["function"].get("description")
        if not _find(name, text, 0):
            return f"tool {name!r}"
        if description and not _find(description, text, 0):
            return f"the description of tool {name!r}"
        for field in dict.fromkeys(_schema_strings(tool["function"].get("parameters") or {})):
            if not _find(field, text, 0):
                return f"schema field {field!r} of tool {name!r}"
    return ""


def lost_of_messages(messages: list[JsonObject], text: str) -> str:
    """The same of the messages, which must stand in their order."""
    position = 0
    for number, message in enumerate(messages, start=1):
        for content in message_contents(message):
            end = _find(content.text, text, position)
            if not end:
                return f"{content.what} of message {number}"
            # Calls and their arguments may be written in any order within a message: only text moves the cursor.
            position = end if content.what == "the text" else position
    return ""


def message_contents(message: JsonObject) -> Iterator[Content]:
    if message["content"].strip():
        yield Content("the text", message["content"].strip())
    for call in message.get("tool_calls") or []:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield Content(f"the call to {name!r}", name)
        for key, value in arguments.items():
            yield Content(f"argument {key!r} of the call to {name!r}", key)
            yield from (Content(f"argument {key!r} of the call to {name!r}", leaf) for leaf in _leaves(value))


def _schema_strings(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if value is None or (key in _UNRENDERED and isinstance(value, str | bool)) or value == "":
                continue
            if key in _MAPS and isinstance(value, dict):
                for name, sub in value.items():
                    yield name
                    yield from _schema_strings(sub)
            else:
                yield key
                yield from _schema_strings(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _schema_strings(item)
    else:
        yield from _leaves(schema)


def _leaves(value: Any) -> Iterator[str]:
    """The texts of a JSON value: object keys, strings, and numbers and booleans as JSON writes them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value if isinstance(value, str) else to_json(value)


def _find(content: str, text: str, start: int) -> int:
    """Where `content` ends in `text` at or after `start`, as it is or as JSON writes it; 0 when it is not there."""
    if not content:
        return max(start, 1)
    if (at := text.find(content, start)) >= 0:
        return at + len(content)
    written = to_json(content)[1:-1]
    return at + len(written) if (at := text.find(written, start)) >= 0 else 0
