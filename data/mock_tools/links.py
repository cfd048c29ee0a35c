"""Which tool's result names what another tool takes: an id that the one makes or finds and the other requires."""

from typing import NamedTuple

from data.mock_tools.names import singular, subject_of, words_of
from data.row import JsonObject

# Tools of these verbs give no id of what they name.
_TAKING_VERBS = {"delete", "remove", "cancel", "count", "close", "clear"}


class Link(NamedTuple):
    giver: str
    taker: str
    key: str
    """The argument of the taker, and the key of the giver's result."""


def find_links(tools: list[JsonObject]) -> list[Link]:
    """`create_order` gives the `order_id` that `update_order` requires and `create_order` does not take."""
    return [
        Link(giver["function"]["name"], taker["function"]["name"], key)
        for taker in tools
        for key in _parameters(taker).get("required") or []
        for giver in tools
        if giver is not taker and gives(giver, key, _parameters(taker).get("properties", {}).get(key))
    ]


def gives(tool: JsonObject, key: str, schema: object) -> bool:
    """Does the tool's name speak of what the id names, and does it not take that id itself?"""
    subject, words = set(subject_of(key)), {singular(word) for word in words_of(tool["function"]["name"])}
    is_plain = isinstance(schema, dict) and schema.get("type") in ("string", "integer") and "enum" not in schema
    takes_it = key in _parameters(tool).get("properties", {})
    return bool(subject) and is_plain and subject <= words and not takes_it and not words & _TAKING_VERBS


def _parameters(tool: JsonObject) -> JsonObject:
    parameters: JsonObject = tool["function"].get("parameters") or {}
    return parameters
