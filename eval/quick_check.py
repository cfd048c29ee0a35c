"""Does a value fit a JSON Schema? A quick yes or no for the keywords that nearly all tool schemas keep to.

jsonschema took more than a third of the time that scoring an answer takes, and with thousands of answers that adds up.
It is still asked for the words of a fault, and for every schema that has another keyword.
"""

import re
from collections.abc import Callable
from types import UnionType
from typing import Any, NamedTuple

Check = Callable[[Any], bool]
_SAY_NOTHING = frozenset({
    "title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$comment",
    "x-normalise",
})  # fmt: skip
"""Keywords that restrict nothing: `format` does only where a checker of formats is given."""


def quick_check(schema: Any) -> Check | None:
    """As Draft 2020-12 has it; None for a schema that jsonschema has to judge."""
    if not isinstance(schema, dict):
        return None
    checks: list[Check] = []
    for key, value in schema.items():
        if key in _SAY_NOTHING:
            continue
        keyword = _KEYWORDS.get(key)
        check = keyword.check(value) if keyword and isinstance(value, keyword.takes) else None
        if check is None:
            return None
        checks.append(check)
    if schema.get("additionalProperties", True) is not True:
        checks.append(_closed(schema.get("properties", {})))
    return lambda value: all(check(value) for check in checks)


def _type(names: Any) -> Check | None:
    names = [names] if isinstance(names, str) else names
    checks = [_TYPES.get(name) if isinstance(name, str) else None for name in names]
    found = [check for check in checks if check]
    if len(found) < len(checks) or not checks:
        return None
    return found[0] if len(found) == 1 else lambda value: any(check(value) for check in found)


def _is_integer(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _enum(choices: Any) -> Check | None:
    # 1, 1.0 and true are told apart in JSON's own way: left to jsonschema.
    if not all(choice is None or isinstance(choice, str) for choice in choices):
        return None
    allowed = frozenset(choices)
    return lambda value: (value is None or isinstance(value, str)) and value in allowed


def _properties(schemas: Any) -> Check | None:
    checks = {key: quick_check(schema) for key, schema in schemas.items()}
    known = {key: check for key, check in checks.items() if check}
    if len(known) < len(checks):
        return None
    return lambda value: (
        not isinstance(value, dict) or all(known[key](inner) for key, inner in value.items() if key in known)
    )


def _required(keys: Any) -> Check | None:
    if not all(isinstance(key, str) for key in keys):
        return None
    wanted = frozenset(keys)
    return lambda value: not isinstance(value, dict) or wanted <= value.keys()


def _additional(allowed: Any) -> Check:
    """What it forbids depends on `properties`: `_closed` looks."""
    return lambda _: True


def _closed(schemas: Any) -> Check:
    allowed = frozenset(schemas)
    return lambda value: not isinstance(value, dict) or value.keys() <= allowed


def _items(schema: Any) -> Check | None:
    check = quick_check(schema)
    return check and (lambda value: not isinstance(value, list) or all(map(check, value)))


def _min_length(least: Any) -> Check:
    return lambda value: not isinstance(value, str) or len(value) >= least


def _max_length(most: Any) -> Check:
    return lambda value: not isinstance(value, str) or len(value) <= most


def _minimum(least: Any) -> Check:
    return lambda value: not _is_number(value) or value >= least


def _maximum(most: Any) -> Check:
    return lambda value: not _is_number(value) or value <= most


def _pattern(pattern: Any) -> Check | None:
    try:
        found = re.compile(pattern)
    except re.error:
        return None
    return lambda value: not isinstance(value, str) or found.search(value) is not None


class _Keyword(NamedTuple):
    check: Callable[[Any], Check | None]
    takes: type | UnionType
    """Anything else is no schema of ours to judge."""


_KEYWORDS = {
    "type": _Keyword(_type, str | list),
    "enum": _Keyword(_enum, list),
    "properties": _Keyword(_properties, dict),
    "required": _Keyword(_required, list),
    "additionalProperties": _Keyword(_additional, bool),
    "items": _Keyword(_items, dict),
    "minLength": _Keyword(_min_length, int),
    "maxLength": _Keyword(_max_length, int),
    "minimum": _Keyword(_minimum, int | float),
    "maximum": _Keyword(_maximum, int | float),
    "pattern": _Keyword(_pattern, str),
}
