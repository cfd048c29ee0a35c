"""Values that schemas take, and mock tools that answer as their schemas say."""

import doctest
import json
import re
from random import Random

import pytest
from jsonschema import Draft202012Validator

import data.mock_tools.names as names_module
import data.mock_tools.service as service_module
import data.mock_tools.value_words as value_words_module
from data.mock_tools.links import Link, find_links
from data.mock_tools.names import subject_of, words_of
from data.mock_tools.pattern_text import UnmadeError, pattern_text
from data.mock_tools.schema_values import draw_arguments
from data.mock_tools.service import MockService
from data.row import JsonObject
from data.rules.formats import FORMATS
from data.task_api.service import TASK_TOOLS


def tool(name: str, properties: JsonObject, required: list[str] | None = None, **more: object) -> JsonObject:
    required = list(properties) if required is None else required
    parameters = {"type": "object", "properties": properties, "required": required, **more}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TEXT = {"type": "string"}
ORDER = {"order_id": TEXT}
ORDER_TOOLS = [
    tool(
        "create_order", {"item": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}, ["item"]
    ),
    tool("updateOrder", ORDER | {"note": {"type": "string"}}),
    tool("delete_orders", {"before": {"type": "string", "format": "date"}}),
    tool("get_weather", {"city": {"type": "string"}}),
]
NASTY: list[JsonObject] = [
    {"type": "string", "pattern": "^T-[0-9]{3,}$"},
    {"type": "string", "pattern": r"^[A-Z]{2}\d{2}(?: ?[\dA-Z]{4}){2,3}$"},
    {"type": "string", "pattern": "^(?:red|green)-[^a-z ]+$"},
    {"type": "string", "minLength": 30, "maxLength": 32},
    {"type": "string", "enum": ["a", None]},
    {"type": ["null", "integer"], "minimum": 5, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 10, "exclusiveMaximum": 13},
    {"type": "integer", "multipleOf": 15, "minimum": 1, "maximum": 100},
    {"type": "number", "minimum": -0.5, "maximum": 0.5},
    {"type": "integer", "maximum": 0},
    {"type": "number", "maximum": 50, "description": "The share (e.g. 70)"},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
    {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
               {"properties": {"b": {"const": 4}}, "required": ["b"]}]},
    {"$ref": "#/$defs/Shade", "description": "e.g., light, dark"},
    {"description": "anything"},
    {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "integer", "minimum": 1}]},
    *({"type": "string", "format": name} for name in ("date", "time", "email", "phone", "uri", "ipv4", "ipv6", "uuid")),
]  # fmt: skip
SHADE = {"$defs": {"Shade": {"type": "string", "enum": ["light", "dark"]}}}


@pytest.mark.parametrize("module", [names_module, value_words_module, service_module])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("schema", NASTY, ids=json.dumps)
@pytest.mark.parametrize("name", ["value", "release_year", "user_id"])
def test_a_drawn_value_keeps_its_schema(schema: JsonObject, name: str) -> None:
    made = tool("f", {name: schema}, **SHADE)
    validator = Draft202012Validator(made["function"]["parameters"], format_checker=FORMATS)
    drawn = [draw_arguments(made, Random(seed)) for seed in range(60)]
    assert [validator.is_valid(arguments) for arguments in drawn] == [True] * 60
    assert drawn == [draw_arguments(made, Random(seed)) for seed in range(60)]


def test_the_schemas_own_examples_are_used() -> None:
    city = {"type": "string", "description": "The city (e.g., Paris, New York, or Rome)"}
    drawn = [draw_arguments(tool("f", {"city": city}), Random(seed))["city"] for seed in range(60)]
    assert set(drawn) == {"Paris", "New York", "Rome"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(?=.*x)$"},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"$ref": "#/$defs/absent"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "string", "not": {}},
    ],
)
def test_no_value_is_made_rather_than_a_wrong_one(schema: JsonObject) -> None:
    with pytest.raises(UnmadeError):
        draw_arguments(tool("f", {"value": schema}), Random(1))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("library_name", r"\w+ Library"), ("userName", r"\w+ \w+"), ("start_date", r"\d{4}-\d\d-\d\d"),
     ("quantity", r"\d+"), ("id", r"ID-\d{4}"), ("order_id", r"ORD-\d{4}"), ("e_mail", r"\w+@example.com")],
)  # fmt: skip
def test_a_plain_text_fits_its_name(name: str, kind: str) -> None:
    drawn = [draw_arguments(tool("f", {name: TEXT}), Random(seed))[name] for seed in range(20)]
    assert [re.fullmatch(kind, value) is not None for value in drawn] == [True] * 20, drawn


def test_optional_arguments_come_now_and_then() -> None:
    made = tool("f", {"a": {"type": "string"}, "b": {"type": "boolean"}}, ["a"])
    num_keys = [len(draw_arguments(made, Random(seed))) for seed in range(200)]
    assert 30 < num_keys.count(2) < 120 and num_keys.count(1) + num_keys.count(2) == 200


def test_a_pattern_with_a_broken_group_is_no_text() -> None:
    with pytest.raises(UnmadeError, match="unterminated"):
        pattern_text("(a", Random(1))


@pytest.mark.parametrize(
    ("name", "words", "subject"),
    [
        ("menu_item_id", ["menu", "item", "id"], ["menu", "item"]),
        ("orderId", ["order", "id"], ["order"]),
        ("HTTPStatusCode", ["http", "status", "code"], ["http", "statu"]),
        ("id", ["id"], []),
        ("city", ["city"], []),
        ("größeCm", ["größe", "cm"], []),
    ],
)
def test_names_are_read_as_words(name: str, words: list[str], subject: list[str]) -> None:
    assert (words_of(name), subject_of(name)) == (words, subject)


def test_a_tool_gives_the_id_of_what_it_makes_to_those_that_require_it() -> None:
    assert find_links(ORDER_TOOLS) == [Link("create_order", "updateOrder", "order_id")]
    assert Link("create_task", "complete_task", "task_id") in find_links(TASK_TOOLS)


def test_a_result_follows_from_the_call_and_names_the_id() -> None:
    call = ("create_order", {"item": "tea", "tags": ["a"]})
    result = MockService(ORDER_TOOLS).call(*call)
    assert result == {"status": "success", "order_id": result["order_id"], "item": "tea"}
    assert result == MockService(ORDER_TOOLS).call(*call)
    assert result["order_id"] != MockService(ORDER_TOOLS).call("create_order", {"item": "milk"})["order_id"]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "message"),
    [
        ("absent", {}, "unknown_tool", "no tool absent; tools: create_order, updateOrder, delete_orders, get_weather"),
        ("get_weather", {}, "invalid_arguments", "arguments: 'city' is a required property"),
        ("get_weather", {"city": 3}, "invalid_arguments", "city: 3 is not of type 'string'"),
        ("get_weather", {"city": "a", "unit": "c"}, "invalid_arguments", "unit: is not in the schema of 'get_weather'"),
    ],
)
def test_a_wrong_call_is_an_error(name: str, arguments: JsonObject, code: str, message: str) -> None:
    assert MockService(ORDER_TOOLS).call(name, arguments) == {"error": {"code": code, "message": message}}


def test_an_argument_named_error_is_no_failure() -> None:
    assert MockService([tool("log", {"error": {"type": "string"}})]).call("log", {"error": "x"}) == {
        "status": "success"
    }
