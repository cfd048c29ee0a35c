"""Strict functions of a request, and the calls of them in any of its parts and its answer's."""

from collections.abc import Callable, Iterator
from typing import Any

from data.optional_arguments import relaxed
from data.row import JsonObject
from data.strict_json import load_json, to_json

Change = Callable[[Any, JsonObject], Any]
Schemas = dict[str, JsonObject]
"""Name of a strict function -> its schema as the client sent it, where the model sees another."""


def relax(function: JsonObject, schemas: Schemas) -> None:
    """Make what may be null optional, if the function is strict; `schemas` gets what was sent."""
    sent = function.get("parameters")
    if function.get("strict") is True and isinstance(sent, dict) and (seen := relaxed(sent)) != sent:
        function["parameters"] = seen
        schemas[str(function.get("name"))] = sent


def change_arguments(call: JsonObject, schemas: Schemas, change: Change) -> None:
    """`call` has the `name` of a function and `arguments`, as JSON text or an object."""
    if schema := schemas.get(str(call.get("name"))):
        call["arguments"] = changed(call.get("arguments"), schema, change)


def changed(arguments: Any, schema: JsonObject, change: Change) -> Any:
    """Text that is no JSON, such as of a call that was cut off, stays as it is."""
    if not isinstance(arguments, str):
        return change(arguments, schema)
    try:
        before = load_json(arguments)
        after = change(before, schema)
    except (ValueError, RecursionError):
        return arguments
    return arguments if after == before else to_json(after)


def objects(holder: Any, key: str) -> Iterator[JsonObject]:
    """The objects in a list that may be anything: what clients send is not checked yet."""
    found = holder.get(key) if isinstance(holder, dict) else None
    yield from (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
