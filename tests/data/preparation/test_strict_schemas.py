"""Rows as strict clients send them: schemas of strict mode, calls that keep to them, nothing else changed."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data.conversation import calls_of
from data.optional_arguments import relaxed, with_nulls, without_nulls
from data.preparation.augment import augment
from data.preparation.lengths import Ruler
from data.preparation.settings import Augment
from data.preparation.strict_schemas import make_strict, without_fillers
from data.preparation.tool_lists import OtherTools
from data.row import JsonObject, Row
from data.rules.arguments import loose_object
from data.rules.rows import row_faults
from data.rules.severities import DEFAULTS
from data.template import load_template
from tests.data.preparation.made import REAL, call, entries, real_entries, tool
from tests.data.rows import raw, result, says, user

PROPERTIES: JsonObject = {
    "city": {"type": "string"},
    "unit": {"type": "string", "enum": ["C", "F"], "description": "of the result"},
    "days": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["n"],
        },
    },
}


def weather(arguments: JsonObject, properties: JsonObject = PROPERTIES) -> Row:
    offered = tool("weather", **properties)
    offered["function"]["parameters"]["required"] = ["city"]
    turns = [says(None, call("weather", **arguments)), result("22", "c1"), says("22 degrees.")]
    return entries(raw(user("Weather?"), *turns, tools=[offered]))[0].row


def parameters(row: Row) -> JsonObject:
    assert row.tools and row.tools[0].function.strict
    return row.tools[0].function.parameters or {}


def strict_forms(row: Row) -> tuple[Row, Row]:
    """As a schema, and as of a function's signature."""
    forms = {}
    for seed in range(12):
        form = make_strict(row, random.Random(seed))
        assert form
        forms["anyOf" in json.dumps(parameters(form))] = form
    return forms[False], forms[True]


def test_what_is_optional_may_be_null_and_is_null_where_nothing_was_meant() -> None:
    listed, signature = strict_forms(weather({"days": [{"n": 3}], "city": "Rome"}))
    for form in (listed, signature):
        (given,) = calls_of(form.messages[1])
        expected = [("city", "Rome"), ("unit", None), ("days", [{"n": 3, "note": None}])]
        assert list(given.arguments.items()) == expected
        assert parameters(form)["required"] == ["city", "unit", "days"]
        assert parameters(form)["properties"]["city"] == {"type": "string"}
    unit = {"type": ["string", "null"], "enum": ["C", "F", None], "description": "of the result"}
    assert parameters(listed)["properties"]["unit"] == unit
    unit = {"anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "null"}]}
    assert parameters(signature)["properties"]["unit"] == unit


@pytest.mark.parametrize(
    ("properties", "arguments"),
    [
        (PROPERTIES, {"unit": "C"}),
        (PROPERTIES, {"city": "Rome", "when": "now"}),
        (PROPERTIES | {"more": {"type": "object"}}, {"city": "Rome"}),
        (PROPERTIES | {"more": {"type": "object", "additionalProperties": {"type": "string"}}}, {"city": "Rome"}),
        (PROPERTIES | {"more": {"type": "string", "required": [{}]}}, {"city": "Rome"}),
        (PROPERTIES | {"more": {"anyOf": {"type": "string"}}}, {"city": "Rome"}),
        (PROPERTIES | {"more": "string"}, {"city": "Rome"}),
        (PROPERTIES | {"more": {"$ref": "#/$defs/x"}}, {"city": "Rome"}),
        (PROPERTIES | {"more": {"type": "string", "default": "x"}}, {"city": "Rome"}),
    ],
)
def test_what_strict_mode_cannot_say_is_left_as_it_is(properties: JsonObject, arguments: JsonObject) -> None:
    assert make_strict(weather(arguments, properties), random.Random(0)) is None


def test_a_row_without_tools_is_left_as_it_is() -> None:
    assert make_strict(entries(raw(user("Hello"), says("Hi."), tools=[]))[0].row, random.Random(0)) is None


@pytest.mark.parametrize("name", REAL)
def test_real_rows_become_strict_and_keep_what_they_teach(name: str, shared_data: Path, chatml: Any) -> None:
    rows = real_entries(shared_data, name, 60)
    ruler = Ruler(chatml, load_template("chatml"), 4096)
    made = augment(rows, OtherTools(rows), Augment(strict_tools=1), DEFAULTS, ruler, seed=0)
    counts = made.notes["strict_tools"]
    assert counts["rows"] + counts["impossible"] + counts["refused"] == 60 and counts["rows"] > 20
    for old, new in zip(rows, made.kept, strict=True):
        if new.row == old.row:
            continue
        schemas = {one.function.name: one.function.parameters or {} for one in new.row.tools or []}
        assert [loose_object(json.dumps(schema)) for schema in schemas.values()] == [""] * len(schemas)
        assert [fault for fault in row_faults(new.row) if DEFAULTS.of(fault.rule) == "error"] == []
        for before, after in zip(old.row.messages, new.row.messages, strict=True):
            assert before.model_copy(update={"tool_calls": None}) == after.model_copy(update={"tool_calls": None})
            listed = {one.function.name: one.function.parameters or {} for one in old.row.tools or []}
            for was, now in zip(calls_of(before), calls_of(after), strict=True):
                assert was.name == now.name and bare(now.arguments) == was.arguments
                assert without_fillers(now.arguments, listed[now.name]) == was.arguments
                Draft202012Validator(schemas[now.name]).validate(now.arguments)
                # And back, as a server has it for a model that was trained on the row as it was.
                strict = schemas[now.name]
                assert without_nulls(now.arguments, strict) == was.arguments
                assert with_nulls(was.arguments, strict) == now.arguments
                Draft202012Validator(relaxed(strict)).validate(was.arguments)
                assert set(relaxed(strict)["required"]) == set(listed[now.name].get("required", []))


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if item is not None}
    return [bare(item) for item in value] if isinstance(value, list) else value
