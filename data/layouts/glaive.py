"""Glaive: one text of `USER:`, `ASSISTANT:` and `FUNCTION RESPONSE:` with `<functioncall>`, tools in the system text.

    {"system": "SYSTEM: You are ... functions. Use them if required -\\n{...}",
     "chat": "USER: Hi\\n\\n\\nASSISTANT: <functioncall> {\\"name\\": \\"f\\", \\"arguments\\": '{...}'} <|endoftext|>"}

The arguments stand in single quotes, sometimes with escapes: a text that reads in two ways is refused.
"""

import re
from contextlib import suppress
from typing import Any

from data.layouts.draft import Call, Draft, Turns, read_call
from data.layouts.layout import Layout
from data.layouts.literal import leading_json, python_literal
from data.layouts.record_error import RecordError, as_text
from data.layouts.tool_list import read_tools
from data.row import JsonObject
from data.strict_json import load_json

_LISTS_TOOLS = "Use them if required -"
_ONLY_LISTS = "You are a helpful assistant with access to the following functions. Use them if required -"
_END = "<|endoftext|>"
_SPEAKER = re.compile(r"^(USER|ASSISTANT|FUNCTION RESPONSE):", re.MULTILINE)
_QUOTED = re.compile(r"""\{\s*"name"\s*:\s*("[^"\\]*")\s*,\s*"arguments"\s*:\s*('.*')\s*\}""", re.DOTALL)


def _fits(record: JsonObject) -> bool:
    return isinstance(record.get("system"), str) and isinstance(record.get("chat"), str)


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    tools = _system(record["system"].removeprefix("SYSTEM:").strip(), turns)
    for speaker, text in _spoken(as_text(record["chat"], "chat")):
        if speaker == "USER":
            turns.say("user", text)
        elif speaker == "FUNCTION RESPONSE":
            turns.result(text)
        else:
            before, tag, call = text.removesuffix(_END).strip().partition("<functioncall>")
            if tag:
                turns.call([_call(call.strip())], before.strip())
            else:
                turns.say("assistant", before)
    return Draft(turns.finished(), tools, turns.notes)


def _system(text: str, turns: Turns) -> list[JsonObject] | None:
    said, marker, listed = text.partition(_LISTS_TOOLS)
    tools: list[object] = []
    rest = listed.strip()
    while rest:
        tool, rest = leading_json(rest, "the tool list")
        tools += tool if isinstance(tool, list) else [tool]
        rest = rest.strip().removeprefix(",").strip()
    if said + marker == _ONLY_LISTS:
        turns.notes["sentence before the tool list left out"] += 1
    elif said + marker:
        turns.say("system", said + marker)
    if marker:
        return read_tools(tools, turns.notes)
    return [] if "no access to external functions" in text else None


def _spoken(chat: str) -> list[tuple[str, str]]:
    """Speaker and text of each turn; a speaker's name inside a turn cannot be told from a new turn."""
    starts = list(_SPEAKER.finditer(chat))
    if not starts or chat[: starts[0].start()].strip():
        raise RecordError("form", "the chat does not begin with a speaker", "begin with USER:")
    for start in starts[1:]:
        if not chat[: start.start()].endswith("\n\n\n"):
            line = chat.count("\n", 0, start.start()) + 1
            what = f"line {line} of the chat begins with {start[0]!r} but no two blank lines stand before it"
            raise RecordError("speaker", what, "put two blank lines between turns")
    ends = [start.start() for start in starts[1:]] + [len(chat)]
    return [(start[1], chat[start.end() : end].strip()) for start, end in zip(starts, ends, strict=True)]


def _call(text: str) -> Call:
    with suppress(ValueError):
        return read_call(load_json(text))
    quoted = _QUOTED.fullmatch(text)
    if not quoted:
        raise RecordError("unreadable", f"the call is not readable: {text[:60]!r}", "write it as JSON")
    readings = _readings(quoted[2])
    if not readings:
        raise RecordError("unreadable", f"the arguments are not JSON: {quoted[2][:60]!r}", "write them as JSON")
    if any(reading != readings[0] for reading in readings):
        raise RecordError("unreadable", f"the arguments read in two ways: {quoted[2][:60]!r}", "write them as JSON")
    return read_call({"name": load_json(quoted[1]), "arguments": readings[0]})


def _readings(quoted: str) -> list[Any]:
    """The JSON between the quotes as it stands, and as Python would read the quoted text."""
    readings = []
    with suppress(ValueError):
        readings.append(load_json(quoted[1:-1]))
    with suppress(ValueError):
        readings.append(load_json(str(python_literal(quoted))))
    return readings


GLAIVE = Layout(
    "glaive", "system and chat as text, calls as <functioncall> (Glaive)", _fits, _draft, frozenset({"system", "chat"})
)
