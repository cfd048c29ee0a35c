"""Arguments under other names, in the tools' schemas and in the calls: what to fill in is then read from the list.

Parameter masking as in Hammer (arXiv:2410.04587), for the uppermost arguments of a tool.
"""

import random
import re
from functools import partial
from typing import Literal, NamedTuple

from data.preparation.call_arguments import with_arguments
from data.preparation.mentions import texts_of
from data.preparation.relatedness import name_words
from data.row import FunctionSpec, JsonObject, Row

# A schema that says more of its properties than these may name them elsewhere.
_PLAIN = {"type", "properties", "required", "additionalProperties", "description", "title", "$schema"}
NewNames = dict[str, str]
"""Old name -> new one, of those that change."""


class _Style(NamedTuple):
    kind: Literal["snake", "camel", "opaque"]
    """`opaque`: a name that says nothing, for an argument that has a description."""
    mark: str
    """In opaque names."""


def rename_arguments(row: Row, rng: random.Random) -> Row | None:
    """Every listed tool with its arguments under new names, in all its calls.

    None where no name changes, where a schema is more than a list of properties, or where a text names an argument:
    a changed name must not come up anywhere else, so that results and instructions stay true.
    """
    if any(set(tool.function.parameters or {}) - _PLAIN for tool in row.tools or []):
        return None
    style = _Style(rng.choice(("snake", "camel", "opaque")), f"{rng.randrange(16**4):04x}")
    new = {tool.function.name: _new_names(tool.function, style) for tool in row.tools or []}
    if not any(new.values()):
        return None
    tools = [
        tool.model_copy(update={"function": _renamed(tool.function, new[tool.function.name])})
        if new[tool.function.name]
        else tool
        for tool in row.tools or []
    ]
    changed = {old for names in new.values() for old in names}
    messages = [with_arguments(message, partial(_renamed_arguments, new)) for message in row.messages]
    renamed = row.model_copy(update={"tools": tools, "messages": messages})
    return None if _mentions(row, changed) else renamed


def _new_names(function: FunctionSpec, style: _Style) -> NewNames:
    properties = (function.parameters or {}).get("properties") or {}
    new: NewNames = {}
    for number, (old, schema) in enumerate(properties.items(), start=1):
        words = name_words(old)
        name = "_".join(words)
        if style.kind == "camel":
            name = "".join([*words[:1], *(word.capitalize() for word in words[1:])])
        if style.kind == "opaque":
            name = f"arg{number}_{style.mark}" if isinstance(schema, dict) and schema.get("description") else old
        if name and name not in properties and name not in new.values():
            new[old] = name
    return new


def _renamed(function: FunctionSpec, new: NewNames) -> FunctionSpec:
    parameters = dict(function.parameters or {})
    parameters["properties"] = {new.get(name, name): schema for name, schema in parameters["properties"].items()}
    if "required" in parameters:
        parameters["required"] = [new.get(name, name) for name in parameters["required"]]
    return function.model_copy(update={"parameters": parameters})


def _renamed_arguments(new: dict[str, NewNames], tool: str, arguments: JsonObject) -> JsonObject:
    names = new.get(tool, {})
    return {names.get(name, name): value for name, value in arguments.items()}


def _mentions(row: Row, names: set[str]) -> bool:
    """An identifier anywhere, a plain word ("city") in quotes: alone it is a word of the language."""
    plain = {name for name in names if name.isalpha() and name.islower()}
    patterns = [rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in sorted(names - plain)]
    patterns += [rf"""["'`]{re.escape(name)}["'`]""" for name in sorted(plain)]
    pattern = re.compile("|".join(patterns))
    return any(pattern.search(text) for text in texts_of(row))
