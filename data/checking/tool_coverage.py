"""How well rows cover their tools: the calls of each tool, of each argument of its JSON Schema, of each enum value."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from data.conversation import calls_of
from data.row import JsonObject, Row

MAX_ARGUMENTS = 1000
"""Of one schema: types that hold each other can be followed for ever; the first ones are told."""

_Path = tuple[str, ...]
_Enum = dict[str, Any]
"""Values by their JSON text, since 1 and true are equal in Python."""


class ValueCoverage(NamedTuple):
    value: Any
    calls: int

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


class ArgumentCoverage(NamedTuple):
    name: str
    """`address.city` inside an object, `items[].id` inside a list of them."""
    calls: int
    """Trained calls that give it."""
    values: list[ValueCoverage]
    """Of its `enum` or `const`, in the schema's order; empty where any value may come."""

    @property
    def unused_values(self) -> list[ValueCoverage]:
        return [value for value in self.values if not value.calls]


class ToolCoverage(NamedTuple):
    name: str
    rows: int
    """Rows whose tools list it; 0 for one that is called all the same."""
    calls: int
    trained_calls: int
    """Those of turns that are learnt; arguments and values are counted over them."""
    arguments: list[ArgumentCoverage]
    """Of all schemas that the rows give the tool."""

    @property
    def unused_arguments(self) -> list[str]:
        return [argument.name for argument in self.arguments if not argument.calls]

    def as_json(self) -> JsonObject:
        arguments = [
            argument._asdict() | {"values": [value._asdict() for value in argument.values]}
            for argument in self.arguments
        ]
        return self._asdict() | {"arguments": arguments}


def tool_coverage(rows: Iterable[Row]) -> list[ToolCoverage]:
    """Every tool that is listed or called, the most called first. A call that is given twice counts twice; an argument
    that stands in several items of one call's list counts once."""
    listed: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    schemas = _Schemas()
    for row in rows:
        listed.update(row.tool_names())
        schemas.learn(row)
        for message in row.messages:
            for call in calls_of(message):
                calls[call.name] += 1
                if message.is_trained:
                    trained[call.name] += 1
                    schemas.count(call.name, call.arguments)
    names = sorted({*listed, *calls}, key=lambda name: (-trained[name], -calls[name], name))
    return [ToolCoverage(name, listed[name], calls[name], trained[name], schemas.arguments(name)) for name in names]


class _Schemas:
    """The arguments that each tool takes, and how often they were given."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()
        self._arguments: dict[str, dict[_Path, _Enum]] = {}
        self._given: Counter[tuple[str, _Path]] = Counter()
        self._values: Counter[tuple[str, _Path, str]] = Counter()

    def learn(self, row: Row) -> None:
        for tool in row.tools or []:
            name, schema = tool.function.name, tool.function.parameters
            arguments = self._arguments.setdefault(name, {})
            text = json.dumps(schema)
            if (name, text) in self._known:
                continue
            self._known.add((name, text))
            for path, values in islice(_arguments(schema, (), schema, ()), MAX_ARGUMENTS):
                arguments.setdefault(path, {}).update({_text(value): value for value in values})

    def count(self, name: str, arguments: JsonObject) -> None:
        known = self._arguments.get(name, {})
        given = list(_given(arguments, ()))
        self._given.update({(name, path) for path, _ in given})
        self._values.update({(name, path, _text(value)) for path, value in given if known.get(path)})

    def arguments(self, name: str) -> list[ArgumentCoverage]:
        return [
            ArgumentCoverage(
                ".".join(path).replace(".[]", "[]"),
                self._given[name, path],
                [ValueCoverage(value, self._values[name, path, text]) for text, value in values.items()],
            )
            for path, values in self._arguments.get(name, {}).items()
            if path[-1] != "[]" or values  # the items of a list are told where they have names or an enum
        ]


def _arguments(schema: Any, path: _Path, root: Any, refs: tuple[str, ...]) -> Iterator[tuple[_Path, list[Any]]]:
    """Each argument of a schema with the values it lists. `refs` are those being followed: a schema may hold itself."""
    if not isinstance(schema, dict):
        return
    if path:
        yield path, _list(schema.get("enum")) + ([schema["const"]] if "const" in schema else [])
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref not in refs:
        yield from _arguments(_target(root, ref), path, root, (*refs, ref))
    for word in ("anyOf", "oneOf", "allOf"):
        for part in _list(schema.get(word)):
            yield from _arguments(part, path, root, refs)
    properties = schema.get("properties")
    for name, part in properties.items() if isinstance(properties, dict) else ():
        yield from _arguments(part, (*path, name), root, refs)
    yield from _arguments(schema.get("items"), (*path, "[]"), root, refs)


def _target(root: Any, ref: str) -> Any:
    """What `#/$defs/Address` names; None where it names nothing in this schema."""
    where = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        where = where.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(where, dict) else None
    return where


def _given(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _given(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _given(inner, (*path, "[]"))


def _text(value: Any) -> str:
    """JSON text, with 1.0 as 1: JSON Schema takes them for equal."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, sort_keys=True)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
