"""One silent fault shown: what TRL, as installed, trains on a small row, and what becomes of the same row here."""

import json
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import trl

from data.reading import parse_row, require_no_error
from data.render import IGNORE, Rendered, render
from data.row import JsonObject, Row
from data.template import Template
from data.tokenizer_folder import TokenizerFolder
from data.user_error import UserError

WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "height": {"type": "number"}},
            "required": ["city"],
        },
    },
}  # fmt: skip


class Line(NamedTuple):
    fault: str
    trl: str
    is_seen: bool
    """Whether TRL, as installed, does it."""
    ours: str
    is_right: bool
    """Whether ours trains what it should, or refuses."""


def weather_row(text: str = "", arguments: str = '{"city": "Paris"}') -> JsonObject:
    """A request, a call with `text` beside it, its result and the answer."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return {
        "messages": [
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": text, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "22 C"},
            {"role": "assistant", "content": "It is 22 C."},
        ],
        "tools": [WEATHER],
    }


def with_objects(row: JsonObject) -> JsonObject:
    """The row with its arguments as objects, for templates that write JSON text a second time."""
    row = deepcopy(row)
    for message in row["messages"]:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return row


CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
"""The call of `weather_row` as both templates write it."""


def stock(name: str) -> str:
    """A chat template that TRL ships."""
    return (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def rendered(raw: JsonObject, folder: TokenizerFolder, template: Template | None = None) -> Rendered:
    """The row as ours trains it. Raises UserError for one that the row rules or `render` refuse."""
    row, findings = parse_row(Path("row"), 1, json.dumps(raw))
    require_no_error(findings)
    assert isinstance(row, Row), "a chat row"
    return render(row, folder.tokenizer, template or folder.template)


def trained(raw: JsonObject, folder: TokenizerFolder) -> str:
    """All that the model learns to write."""
    labels = rendered(raw, folder).labels
    return str(folder.tokenizer.decode([label for label in labels if label != IGNORE]))


def refusal(raw: JsonObject, folder: TokenizerFolder, template: Template | None = None) -> str:
    """Why ours refuses the row, or ""."""
    try:
        rendered(raw, folder, template)
    except UserError as error:
        return str(error)
    return ""


def json_lines(rows: list[JsonObject]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
