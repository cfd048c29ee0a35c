"""What the model itself wrote, read without any server's parser: the calls it meant, and the text around them."""

import json
from typing import NamedTuple

from data.row import JsonObject
from eval.reply import RawCall

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


class RawReading(NamedTuple):
    content: str
    """All text that is no call; a call that cannot be read stays in it."""
    calls: list[RawCall]


def read_raw(text: str) -> RawReading:
    """Hermes tags, as every template here writes them.

    >>> read_raw('<tool_call>\\n{"name": "ping", "arguments": {"host": "a"}}\\n</tool_call>').calls[0].arguments
    '{"host": "a"}'
    """
    rest, content, calls = text, "", []
    while _OPEN in rest:
        before, _, after = rest.partition(_OPEN)
        found = _call(after)
        if found is None:
            content, rest = content + before + _OPEN, after
            continue
        call, length = found
        calls.append(call)
        content, rest = content + before, after[length:].lstrip().removeprefix(_CLOSE)
    return RawReading((content + rest).strip(), calls)


def _call(text: str) -> tuple[RawCall, int] | None:
    """The call that the text starts with and its length: decoded as JSON, so that a tag inside a value ends nothing."""
    start = len(text) - len(text.lstrip())
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments: JsonObject | str | None = value.get("arguments", value.get("parameters"))
    return RawCall(name=value["name"], arguments=json.dumps(arguments, ensure_ascii=False)), end
