"""Exact coverage figures of small rows: calls, arguments and enum values, wherever a schema keeps them."""

import json
from pathlib import Path
from typing import Any

from data.checking.tool_coverage import MAX_ARGUMENTS, ArgumentCoverage, ToolCounts, ToolCoverage, ValueCoverage
from data.reading import read_rows
from data.row import JsonObject
from tests.data.rows import PING, ping, result, row, says, user, with_tool


def covered(schema: JsonObject, *arguments: JsonObject) -> dict[str, tuple[int, dict[str, int]]]:
    """Calls of each argument, and of each of its values, when `ping` with this schema is called so."""
    calls = [ping(json.dumps(given), f"c{number}") for number, given in enumerate(arguments)]
    (tool,) = ToolCounts([row(user("Go"), says(None, *calls), tools=with_tool(parameters=schema))]).coverage()
    return {arg.name: (arg.calls, {value.text: value.calls for value in arg.values}) for arg in tool.arguments}


def properties(**schemas: Any) -> JsonObject:
    return {"type": "object", "properties": schemas}


def test_calls_arguments_and_rows_are_counted() -> None:
    pong: JsonObject = {"type": "function", "function": {"name": "pong", "parameters": properties(n={})}}
    rows = [
        row(user("a"), says(None, ping(), ping('{"host": "b", "n": 2}', "c2")), tools=[PING, pong]),
        row(user("b"), says(None, ping('{"n": 1}'), weight=0), result("no"), says(None, ping())),
        row(user("c"), says("Hi.")),
    ]
    assert ToolCounts(rows).coverage() == [
        ToolCoverage(
            "ping", rows=3, calls=4, trained_calls=3,
            arguments=[ArgumentCoverage("host", 3, []), ArgumentCoverage("n", 1, [])],
        ),
        ToolCoverage("pong", rows=1, calls=0, trained_calls=0, arguments=[ArgumentCoverage("n", 0, [])]),
    ]  # fmt: skip


def test_enum_values_are_counted_as_json_and_not_as_python() -> None:
    schema = properties(level={"enum": ["low", "high", 1, True, None]}, kind={"const": "x"})
    given = [{"level": "low"}, {"level": 1.0, "kind": "x"}, {"level": True}, {"level": "low"}]
    assert covered(schema, *given) == {
        "level": (4, {"low": 2, "high": 0, "1": 1, "true": 1, "null": 0}),
        "kind": (1, {"x": 1}),
    }


def test_arguments_inside_objects_lists_and_references_are_found() -> None:
    schema = properties(
        to={"$ref": "#/$defs/place"},
        tags={"type": "array", "items": {"enum": ["a", "b"]}},
        stops={"type": "array", "items": {"$ref": "#/$defs/place"}},
        when={"anyOf": [{"enum": ["now", "later"]}, {"type": "null"}]},
        names={"type": "array", "items": {"type": "string"}},
    )
    place = properties(city={"type": "string"}, by={"enum": ["car", "foot"]}, next={"$ref": "#/$defs/place"})
    schema["$defs"] = {"place": place}
    given: list[JsonObject] = [
        {"to": {"city": "Ulm"}, "tags": ["a", "a"], "when": None, "names": ["x"]},
        {"stops": [{"by": "car"}, {"by": "car", "city": "Bonn"}, {"by": "foot"}]},
    ]
    assert covered(schema, *given) == {
        "to": (1, {}), "to.city": (1, {}), "to.by": (0, {"car": 0, "foot": 0}), "to.next": (0, {}),
        "tags": (1, {}), "tags[]": (1, {"a": 1, "b": 0}),
        "stops": (1, {}), "stops[].city": (1, {}), "stops[].by": (1, {"car": 1, "foot": 1}), "stops[].next": (0, {}),
        "when": (1, {"now": 0, "later": 0}), "names": (1, {}),
    }  # fmt: skip


def test_rows_that_give_a_tool_another_schema_add_to_it() -> None:
    rows = [
        row(user("a"), says(None, ping(f'{{"{name}": "{value}"}}')), tools=with_tool(parameters=properties(**schema)))
        for name, value, schema in (
            ("a", "x", {"a": {"enum": ["x"]}}),
            ("a", "y", {"a": {"enum": ["y", "z"]}, "b": {}}),
        )
    ]
    (tool,) = ToolCounts(rows).coverage()
    assert tool.arguments == [
        ArgumentCoverage("a", 2, [ValueCoverage("x", 1), ValueCoverage("y", 1), ValueCoverage("z", 0)]),
        ArgumentCoverage("b", 0, []),
    ]
    assert tool.unused_arguments == ["b"] and tool.arguments[0].unused_values == [ValueCoverage("z", 0)]


def test_what_is_no_schema_has_no_arguments() -> None:
    for schema in ({}, {"properties": []}, {"properties": {}, "$ref": "#/nowhere"}, {"anyOf": "x", "items": [1]}):
        assert covered(schema, {"a": 1}) == {}
    assert covered({"$ref": "#/$defs/a/b", "$defs": {"a": {"b": properties(n={})}}}, {"n": 1}) == {"n": (1, {})}


def test_a_call_to_a_tool_that_is_not_listed_is_counted_by_its_name() -> None:
    failed = row(user("a"), says(None, ping(name="pong"), weight=0), result("no such tool"), says(None, ping()))
    assert [(tool.name, tool.rows, tool.calls, tool.trained_calls) for tool in ToolCounts([failed]).coverage()] == [
        ("ping", 1, 1, 1),
        ("pong", 0, 1, 0),
    ]


def test_the_arguments_of_real_rows_add_up(shared_data: Path) -> None:
    """Against a plain count of the calls' own keys."""
    rows = [numbered.row for numbered in read_rows(shared_data / "taskmaster_coffee" / "train.jsonl")]
    expected: dict[str, int] = {}
    for one in rows:
        for message in one.messages:
            for call in message.tool_calls or []:
                assert isinstance(call.function.arguments, str)
                for key in json.loads(call.function.arguments):
                    name = f"{call.function.name}.{key}"
                    expected[name] = expected.get(name, 0) + 1
    found = {
        f"{tool.name}.{arg.name}": arg.calls
        for tool in ToolCounts(rows).coverage()
        for arg in tool.arguments
        if arg.name.isidentifier()
    }
    assert {name: calls for name, calls in found.items() if calls} == expected  # inner ones left out


def test_types_that_hold_each_other_are_followed_for_a_while_only() -> None:
    names = [f"t{number}" for number in range(12)]
    every = properties(**{name: {"$ref": f"#/$defs/{name}"} for name in names})
    found = covered(every | {"$defs": dict.fromkeys(names, every)}, {"t0": {"t1": {}}})
    assert 100 < len(found) <= MAX_ARGUMENTS and found["t0.t1"] == (1, {})
