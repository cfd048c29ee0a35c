"""Right and wrong answers to an item, made from its allowed values: one change each, drawn by seed."""

import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from data.conversation import Call
from data.row import JsonObject
from eval.allowed_values import first_value
from eval.expected import Allowed
from eval.item import Item

ValueChange = Callable[[Any], Any]


def perturbed(item: Item, draw: random.Random) -> Iterator[tuple[str, list[Call]]]:
    """(name of the change, calls); a change that the item has no place for is left out."""
    full = [Call(call.name, _full(call.allowed_arguments())) for call in item.expected_calls]
    least = [Call(call.name, call.arguments) for call in item.expected_calls]
    yield "right, optional arguments left out", least
    yield "right, optional arguments given", full
    yield "right, last choices", [Call(call.name, _last(call.allowed_arguments())) for call in item.expected_calls]
    yield from _changed_calls(full, list(item.tools), draw)
    where = draw.randrange(len(full))
    call = full[where]
    for name, arguments in _changed_arguments(item, call, where, draw):
        yield name, [*full[:where], Call(call.name, arguments), *full[where + 1 :]]


def _changed_calls(calls: list[Call], tools: list[str], draw: random.Random) -> Iterator[tuple[str, list[Call]]]:
    first, *rest = calls
    others = [name for name in tools if name != first.name]
    yield "tool not offered", [Call(f"{first.name}_2", first.arguments), *rest]
    if others:
        yield "another tool", [Call(draw.choice(others), first.arguments), *rest]
    yield "a call dropped", calls[1:]
    yield "a call doubled", [*calls, first]
    if len(calls) > 1:
        yield "calls in reverse", calls[::-1]
        yield "calls shuffled", draw.sample(calls, len(calls))
        yield "one call in place of another", [first, *calls[:1], *calls[2:]]


def _changed_arguments(item: Item, call: Call, where: int, draw: random.Random) -> Iterator[tuple[str, JsonObject]]:
    allowed = item.expected_calls[where].allowed_arguments()
    arguments = call.arguments
    yield "unknown argument", {**arguments, "no_such_argument": 1}
    must = [key for key in arguments if not allowed[key].is_optional]
    may = [key for key in arguments if allowed[key].is_optional]
    for name, keys in (("argument missing", must), ("optional argument missing", may)):
        if keys:
            gone = draw.choice(keys)
            yield name, {key: value for key, value in arguments.items() if key != gone}
    for name, change in CHANGES.items():
        places = [key for key, value in arguments.items() if change(value) is not None]
        if places:
            key = draw.choice(places)
            yield name, {**arguments, key: change(arguments[key])}
    if arguments:
        yield "null", {**arguments, draw.choice(list(arguments)): None}


def _full(allowed: dict[str, Allowed]) -> JsonObject:
    return {key: first_value(choice) for key, choice in allowed.items() if not choice.must_be_absent}


def _last(allowed: dict[str, Allowed]) -> JsonObject:
    return {
        key: choice.values[-1] if choice.values else first_value(choice)
        for key, choice in allowed.items()
        if not choice.must_be_absent
    }


def _of_text(change: Callable[[str], str]) -> ValueChange:
    return lambda value: change(value) if isinstance(value, str) and change(value) != value else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_list(change: Callable[[list[Any]], list[Any]], at_least: int = 1) -> ValueChange:
    return lambda value: change(value) if isinstance(value, list) and len(value) >= at_least else None


def _of_object(change: Callable[[JsonObject], JsonObject]) -> ValueChange:
    return lambda value: change(value) if isinstance(value, dict) and value else None


def _another_date(text: str) -> str:
    for pattern in ("%Y-%m-%d", "%m/%d/%Y", "%B %d, %Y", "%d/%m/%Y"):
        try:
            return datetime.strptime(text, pattern).strftime("%-d %b %Y")
        except ValueError:
            continue
    return text


def _object_list(change: Callable[[JsonObject], JsonObject]) -> ValueChange:
    def changed(value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], dict) and value[0]:
            return [change(value[0]), *value[1:]]
        return None

    return changed


def _first_field(change: ValueChange) -> Callable[[JsonObject], JsonObject]:
    return lambda value: {**value, next(iter(value)): change(value[next(iter(value))])}


# Change -> the new value, or None where the value is of another kind.
CHANGES: dict[str, ValueChange] = {
    "text in capitals": _of_text(str.upper),
    "text with spaces and commas removed": _of_text(lambda text: re.sub(r"[ ,]", "", text)),
    "text with a full stop": _of_text(lambda text: f"{text}."),
    "text with other quotes": _of_text(lambda text: text.replace("'", '"')),
    "text with a word more": _of_text(lambda text: f"{text} x"),
    "text with an exclamation mark": _of_text(lambda text: f"{text}!"),
    "text negated": _of_text(lambda text: f"-{text}"),
    "text emptied": _of_text(lambda text: ""),
    "text as a list": lambda value: [value] if isinstance(value, str) else None,
    "a date in another format": _of_text(_another_date),
    "number as text": lambda value: str(value) if _is_number(value) else None,
    "number plus one": lambda value: value + 1 if _is_number(value) else None,
    "integer as 1.0": lambda value: float(value) if type(value) is int else None,
    "1.0 as integer": lambda value: int(value) if type(value) is float and value.is_integer() else None,
    "boolean turned": lambda value: not value if isinstance(value, bool) else None,
    "boolean as text": lambda value: str(value).lower() if isinstance(value, bool) else None,
    "boolean as 0 or 1": lambda value: int(value) if isinstance(value, bool) else None,
    "list in reverse": _of_list(lambda value: value[::-1], at_least=2),
    "list shortened": _of_list(lambda value: value[:-1]),
    "list with a doubled value": _of_list(lambda value: [*value, value[0]]),
    "list emptied": _of_list(lambda value: []),
    "list as its first value": _of_list(lambda value: value[0]),
    "text in a list in capitals": _of_list(lambda v: [one.upper() if isinstance(one, str) else one for one in v]),
    "number in a list as text": _of_list(lambda v: [str(one) if _is_number(one) else one for one in v]),
    "integer in a list as 1.0": _of_list(lambda v: [float(one) if type(one) is int else one for one in v]),
    "1 in a list as true": _of_list(lambda v: [True if one == 1 else one for one in v]),
    "field missing": _of_object(lambda value: dict(list(value.items())[1:])),
    "unknown field": _of_object(lambda value: {**value, "no_such_field": 1}),
    "field in capitals": _of_object(_first_field(lambda one: one.upper() if isinstance(one, str) else one)),
    "field as text": _of_object(_first_field(str)),
    "field missing in a list": _object_list(lambda value: dict(list(value.items())[1:])),
    "unknown field in a list": _object_list(lambda value: {**value, "no_such_field": 1}),
    "field in capitals in a list": _object_list(_first_field(lambda one: one.upper() if isinstance(one, str) else one)),
}
