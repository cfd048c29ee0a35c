"""Which allowed value is nearest to a given one: the given one itself exactly when it is allowed."""

from collections.abc import Callable
from typing import Any

from rapidfuzz import fuzz

from eval.expected import Allowed
from eval.json_values import canonical_text, same_json

Plain = Callable[[Any], Any]
"""Makes alike what counts as alike."""


def nearest_value(allowed: Allowed, value: Any, plain: Plain) -> Any:
    """Both sides are compared as `plain` makes them, and so is what is returned. Something must be allowed."""
    wanted = plain(value)
    choices = _choices(allowed, value, plain)
    for choice in choices:
        if same_json(choice, wanted):
            return choice
    return max(choices, key=lambda choice: similarity(choice, wanted))


def similarity(first: Any, second: Any) -> float:
    """0 to 1 (rapidfuzz ratio): of two texts as they are, of other values as JSON text; numbers are alike or not."""
    if isinstance(first, str) and isinstance(second, str):
        return fuzz.ratio(first, second) / 100
    if isinstance(first, dict | list) and isinstance(second, dict | list):
        return fuzz.ratio(canonical_text(first), canonical_text(second)) / 100
    return float(same_json(first, second))


def _choices(allowed: Allowed, value: Any, plain: Plain) -> list[Any]:
    """Every allowed value whole; of objects and lists the one nearest to the given value."""
    given_fields = value if isinstance(value, dict) else {}
    objects = [
        {
            key: nearest_value(choice, given_fields[key], plain) if key in given_fields else plain(first_value(choice))
            for key, choice in fields.items()
            if not (choice.must_be_absent or (choice.is_optional and key not in given_fields))
        }
        for fields in allowed.objects
    ]
    lists = [
        [nearest_value(choice, inner, plain) for choice, inner in zip(places, value, strict=True)]
        if isinstance(value, list) and len(places) == len(value)
        else [plain(first_value(choice)) for choice in places]
        for places in allowed.lists
    ]
    return [*map(plain, allowed.values), *objects, *lists]


def first_value(allowed: Allowed) -> Any:
    """The first choice, for a reader; optional fields are left out."""
    if allowed.values:
        return allowed.values[0]
    if allowed.objects:
        return {key: first_value(choice) for key, choice in allowed.objects[0].items() if not choice.is_optional}
    return [first_value(choice) for choice in allowed.lists[0]]
