"""Requests and answers in words made from a tool's name, description and arguments.

A request names every argument by its label and writes every value as the call has it, so that the call follows from it.
"""

import json
import re
from random import Random
from typing import Any

from data.conversation import Call
from data.mock_tools.names import label
from data.row import JsonObject

_MOST_LETTERS = 100  # of a description's first sentence; a longer one is a manual, not a wish
_NOT_IMPERATIVE = {
    "a", "an", "the", "this", "that", "these", "it", "use", "used", "tool", "function", "api", "method", "given",
    "when", "if", "for", "allows", "allow", "information", "data", "helper", "utility",
}  # fmt: skip
_WITH_ARGUMENTS = (
    "Please {do}: {given}.",
    "Can you {do}? {Given}.",
    "{Do} with {given}.",
    "I need you to {do}. {Given}.",
    "{Do}, please ({given}).",
    "I would like to {do}, {given}.",
)
_WITHOUT = ("Please {do}.", "Can you {do}?", "{Do}.", "I need you to {do}.", "{Do}, please.", "I would like to {do}.")


def wish_of(tool: JsonObject, tools: list[JsonObject]) -> str:
    """What the tool does, as an imperative that follows "please": its description's, else the words of its name.

    Where two tools are described alike, the name decides between them.
    """
    wish = _described(tool) or label(tool["function"]["name"])
    if sum(_described(other) == wish for other in tools) > 1:
        return f"{wish} ({label(tool['function']['name'])})"
    return wish


def request(wish: str, arguments: JsonObject, rng: Random) -> str:
    given = ", ".join(mentions(arguments))
    template = rng.choice(_WITH_ARGUMENTS if given else _WITHOUT)
    return template.format(do=wish, Do=upper_first(wish), given=given, Given=upper_first(given))


def mentions(arguments: JsonObject) -> list[str]:
    """`city "Paris"`, `quantity 2`: one for each plain value, those inside lists and objects too."""
    return [mention for key, value in arguments.items() for mention in _mentions(label(key), value)]


def values_in(value: Any) -> list[str]:
    """Every plain value as a request writes it."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [text for item in items for text in values_in(item)]
    return [value if isinstance(value, str) else json.dumps(value)]


def answer(calls: list[Call], results: list[JsonObject]) -> str:
    """Says what was done and what came back, and nothing that the results do not say."""
    parts = []
    for call, result in zip(calls, results, strict=True):
        facts = ", ".join(f"{label(key)} {value}" for key, value in result.items() if key != "status")
        parts.append(f"{label(call.name)}" + (f" ({facts})" if facts else ""))
    return f"Done: {'; '.join(parts)}."


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _described(tool: JsonObject) -> str:
    """The first sentence of the description as an imperative; "" where it is none."""
    description = " ".join(str(tool["function"].get("description") or "").split())
    sentence = re.split(r"[.;:!?](?:\s|$)|\s\(", description, maxsplit=1)[0]
    first = sentence.split(" ", 1)[0].lower().strip(",")
    is_third_person = first.endswith("s") and not first.endswith("ss")  # "Returns the weather"
    if not first.isalpha() or first in _NOT_IMPERATIVE or is_third_person or len(sentence) > _MOST_LETTERS:
        return ""
    return sentence if sentence[1:2].isupper() else sentence[0].lower() + sentence[1:]


def _mentions(name: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [mention for key, item in value.items() for mention in _mentions(label(key), item)]
    if isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            return [mention for item in value for mention in _mentions(name, item)]
        return [f"{name} {' and '.join(map(_quoted, value))}"] if value else [f"no {name}"]
    return [f"{name} {_quoted(value)}"]


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else json.dumps(value)
