"""Small rows for the data room's tests, as a user would write them."""

import json
from pathlib import Path
from typing import Any

from data.reading import parse_row
from data.row import JsonObject, Row
from tests.models import write_rows

PING: JsonObject = {
    "type": "function",
    "function": {
        "name": "ping",
        "description": "Ping a host.",
        "parameters": {
            "type": "object", "properties": {"host": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["host"],
        },
    },
}  # fmt: skip
# The tool list and the instructions of PING alone, as both templates write them.
PING_TEXT = (
    "You can call these functions:\n<tools>\n"
    '{"type": "function", "function": {"name": "ping", "description": "Ping a host.", "parameters": {"type": "object", '
    '"properties": {"host": {"type": "string"}, "n": {"type": "integer"}}, "required": ["host"]}}}\n'
    "</tools>\nTo call a function, write its name and arguments as JSON between tags:\n"
    '<tool_call>\n{"name": "<function>", "arguments": {<arguments>}}\n</tool_call>\n'
    "If no function is needed, answer in plain text."
)


def user(text: Any) -> JsonObject:
    return {"role": "user", "content": text}


def says(text: str | None, *calls: JsonObject, **keys: Any) -> JsonObject:
    """An assistant message: text, calls and whatever else (`weight=0`)."""
    message: JsonObject = {"role": "assistant", "content": text}
    return message | ({"tool_calls": list(calls)} if calls else {}) | keys


def ping(arguments: Any = '{"host": "a"}', call_id: str = "c1", name: str = "ping") -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(text: str, call_id: str = "c1") -> JsonObject:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def raw(*messages: JsonObject, tools: list[JsonObject] | None = None, **keys: Any) -> JsonObject:
    """A row with PING, unless other tools are given; `tools=[]` leaves the key out."""
    tools = [PING] if tools is None else tools
    return {"messages": list(messages)} | ({"tools": tools} if tools else {}) | keys


def row(*messages: JsonObject, tools: list[JsonObject] | None = None, **keys: Any) -> Row:
    return Row.model_validate(raw(*messages, tools=tools, **keys))


GOOD = raw(user("Ping a"), says(None, ping()), result("ok"), says("Done."))


def with_tool(**function: object) -> list[JsonObject]:
    """The tool list of one `ping` made of these keys alone."""
    return [{"type": "function", "function": {"name": "ping"} | function}]


def good_file(path: Path, *rows: JsonObject) -> Path:
    return write_rows(path, list(rows) or [GOOD])


def found(bad: JsonObject | str) -> list[str]:
    """The findings of a row, or of a line, as if it were line 7 of f.jsonl."""
    text = bad if isinstance(bad, str) else json.dumps(bad)
    return [str(finding) for finding in parse_row(Path("f.jsonl"), 7, text)[1]]
