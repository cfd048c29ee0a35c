"""How well rows cover their tools: the calls of each tool, of each argument of its JSON Schema, of each enum value."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from data.conversation import calls_of
from data.reading import NumberedRow
from data.row import JsonObject, Row
from data.row_batches import in_batches

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


def tool_coverage(rows: Sequence[NumberedRow]) -> list[ToolCoverage]:
    """Every tool that is listed or called, the most called first."""
    counts = ToolCounts()
    for of_batch in in_batches(_count, rows):
        counts.add(of_batch)
    return counts.coverage()


def _count(rows: list[NumberedRow]) -> "ToolCounts":
    return ToolCounts(numbered.row for numbered in rows)


class ToolCounts:
    """Of some rows, to be added to those of others. A call that is given twice counts twice; an argument that stands
    in several items of one call's list counts once."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._listed: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._trained: Counter[str] = Counter()
        self._schemas = _Schemas()
        for row in rows:
            self._listed.update(row.tool_names())
            listing = self._schemas.learn(row)
            for message in row.messages:
                for call in calls_of(message):
                    self._calls[call.name] += 1
                    if message.is_trained:
                        self._trained[call.name] += 1
                        self._schemas.count(call.name, call.arguments, listing.get(call.name, set()))

    def add(self, other: "ToolCounts") -> None:
        """Counts of the rows that follow."""
        self._listed.update(other._listed)
        self._calls.update(other._calls)
        self._trained.update(other._trained)
        self._schemas.add(other._schemas)

    def coverage(self) -> list[ToolCoverage]:
        names = sorted({*self._listed, *self._calls}, key=lambda name: (-self._trained[name], -self._calls[name], name))
        return [
            ToolCoverage(
                name, self._listed[name], self._calls[name], self._trained[name], self._schemas.arguments(name)
            )
            for name in names
        ]


class _Schemas:
    """The arguments that each tool takes, and how often they were given."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], set[_Path]] = {}
        self._arguments: dict[str, dict[_Path, _Enum]] = {}
        self._given: Counter[tuple[str, _Path]] = Counter()
        self._values: Counter[tuple[str, _Path, str]] = Counter()

    def learn(self, row: Row) -> dict[str, set[_Path]]:
        """Of each tool of the row the arguments whose values it lists."""
        listing = {}
        for tool in row.tools or []:
            name, schema = tool.function.name, tool.function.parameters
            key = name, json.dumps(schema)
            if key not in self._known:
                found = list(islice(_arguments(schema, (), schema, ()), MAX_ARGUMENTS))
                arguments = self._arguments.setdefault(name, {})
                for path, values in found:
                    arguments.setdefault(path, {}).update({_text(value): value for value in values})
                self._known[key] = {path for path, values in found if values}
            listing[name] = self._known[key]
        return listing

    def count(self, name: str, arguments: JsonObject, listing: set[_Path]) -> None:
        given = list(_given(arguments, ()))
        self._given.update({(name, path) for path, _ in given})
        self._values.update({(name, path, _text(value)) for path, value in given if path in listing})

    def add(self, other: "_Schemas") -> None:
        for name, arguments in other._arguments.items():
            known = self._arguments.setdefault(name, {})
            for path, values in arguments.items():
                known.setdefault(path, {}).update(values)
        self._given.update(other._given)
        self._values.update(other._values)

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
