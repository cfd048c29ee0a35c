"""Strict schemas with their optional arguments optional again, and arguments on the way there and back."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openai import pydantic_function_tool
from pydantic import BaseModel

from data.optional_arguments import relaxed, with_nulls, without_nulls

KEYS = ["type", "properties", "required", "items", "anyOf", "$ref", "$defs", "enum", "null", "string", "a", "#/$defs/a"]


class Stop(BaseModel):
    city: str
    nights: int | None


class Trip(BaseModel):
    """Book a trip."""

    title: str
    unit: Literal["km", "mi"] | None
    first: Stop | None
    stops: list[Stop] | None


def sent() -> Any:
    return pydantic_function_tool(Trip)["function"]["parameters"]


def test_what_may_be_null_is_optional_and_the_rest_stays() -> None:
    seen = relaxed(sent())
    assert seen["required"] == ["title"] and seen["$defs"]["Stop"]["required"] == ["city"]
    assert seen["properties"]["unit"] == {"enum": ["km", "mi"], "type": "string", "title": "Unit"}
    assert seen["$defs"]["Stop"]["properties"]["nights"] == {"type": "integer", "title": "Nights"}
    assert seen["properties"]["first"] == {"$ref": "#/$defs/Stop"}
    assert seen["properties"]["title"] == sent()["properties"]["title"]
    assert seen["additionalProperties"] is False


def test_a_list_of_types_and_its_choices_lose_null() -> None:
    unit = {"type": ["string", "null"], "enum": ["C", None], "default": None}
    size = {"type": ["integer", "number", "null"]}
    schema = {"type": "object", "properties": {"unit": unit, "size": size}, "required": ["unit", "size"]}
    seen = relaxed(schema)
    assert seen["properties"] == {"unit": {"type": "string", "enum": ["C"]}, "size": {"type": ["integer", "number"]}}
    assert seen["required"] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": []},  # optional before
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]},  # null or nothing
        {"type": "object", "properties": {}, "required": ["a"]},
        {"type": "object"},
        {},
        None,
        True,
    ],
)
def test_where_nothing_is_required_and_nullable_nothing_changes(schema: Any) -> None:
    assert relaxed(schema) == schema


@pytest.mark.parametrize(
    ("bare", "full"),
    [
        ({"title": "Alps"}, {"title": "Alps", "unit": None, "first": None, "stops": None}),
        (
            {"stops": [{"city": "Bern"}, {"city": "Chur", "nights": 2}], "title": "Alps", "first": {"city": "Bern"}},
            {
                "title": "Alps",
                "unit": None,
                "first": {"city": "Bern", "nights": None},
                "stops": [{"city": "Bern", "nights": None}, {"city": "Chur", "nights": 2}],
            },
        ),
        ({}, {"unit": None, "first": None, "stops": None}),  # what is missing and cannot be null stays missing
        (
            {"title": "Alps", "other": None},
            {"title": "Alps", "other": None, "unit": None, "first": None, "stops": None},
        ),
        ("text", "text"),
        (None, None),
    ],
)
def test_nulls_come_and_go(bare: Any, full: Any) -> None:
    schema = sent()
    assert with_nulls(bare, schema) == full
    assert without_nulls(full, schema) == bare
    if isinstance(full, dict) and "title" in full and "other" not in full:
        Draft202012Validator(schema).validate(full)
        Draft202012Validator(relaxed(schema)).validate(bare)


def test_what_is_there_stands_in_the_order_of_the_schema() -> None:
    assert list(with_nulls({"stops": [], "title": "Alps"}, sent())) == ["title", "unit", "first", "stops"]


def test_a_null_that_means_something_stays() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "null"}}}
    assert without_nulls({"a": None}, schema) == {"a": None}
    assert without_nulls({"b": None}, schema | {"required": ["b"]}) == {"b": None}


def test_references_may_go_in_circles_and_meet_again_and_again() -> None:
    circle = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert relaxed(circle) == circle and with_nulls({"x": 1}, circle) == {"x": 1}
    twice = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(60)}
    assert with_nulls({"x": 1}, {"$ref": "#/$defs/d0", "$defs": twice}) == {"x": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
anything = json_values | st.lists(json_values, max_size=3)
nearly_schemas = st.fixed_dictionaries(
    {
        "properties": anything
        | st.dictionaries(st.sampled_from("abc"), st.just({"type": ["string", "null"]}) | json_values)
    },
    optional={"required": anything | st.just(["a", {}]), "anyOf": anything, "items": anything, "$defs": anything},
)


@settings(max_examples=500)
@given(nearly_schemas | json_values, anything | st.dictionaries(st.sampled_from("abc"), anything))
def test_whatever_a_client_sends_nothing_else_is_raised(schema: Any, value: Any) -> None:
    seen = relaxed(schema)
    assert type(seen) is type(schema)
    if isinstance(schema, dict):
        full = with_nulls(value, schema)
        assert without_nulls(full, schema) == without_nulls(value, schema)
