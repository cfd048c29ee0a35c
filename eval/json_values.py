"""When two JSON values, or two lists of calls, are the same."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Value = TypeVar("Value")
Other = TypeVar("Other")


def same_json(first: Any, second: Any) -> bool:
    """Equal as JSON: 1 is 1.0 and key order is free, but true is not 1 and "1" is not 1 (in Python it is)."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first == second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_json(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same_json, first, second))
    return type(first) is type(second) and bool(first == second)


def same_multiset(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Equal in any order."""
    return len(first) == len(second) and perfect_matching(first, second, same_json)


def perfect_matching(first: Sequence[Value], second: Sequence[Other], fits: Callable[[Value, Other], bool]) -> bool:
    """Can every value of `first` get a value of `second` of its own that fits? (augmenting paths, Kuhn 1955)

    First come, first served would not do: it can give away the only fit of a later value.
    """
    edges = [[j for j, right in enumerate(second) if fits(left, right)] for left in first]
    taken_by: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in edges[i]:
            if j not in tried:
                tried.add(j)
                if j not in taken_by or place(taken_by[j], tried):
                    taken_by[j] = i
                    return True
        return False

    return all(place(i, set()) for i in range(len(first)))


def canonical_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
