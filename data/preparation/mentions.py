"""What a row says in words: where a name that was changed must not be left behind."""

from collections.abc import Iterator
from typing import Any

from data.conversation import calls_of, content_text
from data.row import Row


def texts_of(row: Row) -> Iterator[str]:
    """Texts of messages and tool results, values of arguments, and the texts of tools and their schemas."""
    for message in row.messages:
        yield content_text(message.content) + (message.refusal or "")
        for call in calls_of(message):
            yield from _values(call.arguments)
    for tool in row.tools or []:
        yield tool.function.description or ""
        yield from _values(tool.function.parameters)


def _values(value: Any) -> Iterator[str]:
    """The strings in a JSON value, but for keys and for `required`, which is a list of names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "required":
                yield from _values(item)
