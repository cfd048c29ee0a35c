"""Arguments against schemas: formats, undeclared keys, nulls, strict schemas; and texts that are nearly alike."""

import json
from typing import Any

import pytest

from data.near_duplicates import Pair
from data.row import JsonObject
from data.rules.arguments import argument_faults, loose_object
from data.rules.formats import FORMATS
from tests.data.near_pairs import near_pairs

FORMS: dict[str, tuple[list[str], list[str]]] = {
    "date": (["2026-02-28", "2024-02-29"], ["2026-02-30", "2025-02-29", "20260228", "2026-2-8", "tomorrow", ""]),
    "time": (["10:00:00Z", "23:59:60+01:00", "01:02:03.5-00:30"], ["10:00", "25:00:00Z", "10:00:00", "10:00:00+1"]),
    "date-time": (["2026-02-28T10:00:00Z", "2026-02-28t10:00:00.25+02:00"], ["2026-02-28 10:00:00Z", "2026-02-28"]),
    "email": (["a@b.example", "a.b+c@d-e.f.example"], ["a@b", "@b.example", "a b@c.example", "a@.example", "a@b..c"]),
    "phone": (["+43664123456", "+12"], ["0664123456", "+0664", "+43 664", "+1234567890123456", "43664"]),
    "uuid": (["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "7"]),
    "uri": (["https://a.example/b?c=d", "urn:isbn:1"], ["a.example", "https://a b"]),
    "ipv4": (["10.0.0.1"], ["10.0.0", "10.0.0.256", "::1"]),
    "ipv6": (["::1", "2001:db8::8"], ["10.0.0.1", "1::2::3"]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_format_tells_good_from_bad(name: str) -> None:
    good, bad = FORMS[name]
    assert [text for text in good + bad if FORMS and FORMATS.conforms(text, name)] == good


def test_a_format_asks_nothing_of_what_is_no_text() -> None:
    assert FORMATS.conforms(5, "date") and FORMATS.conforms("5", "made-up")


def closed(**properties: Any) -> JsonObject:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "arguments", "expected"),
    [
        (closed(a={}), {"b": 1}, [("unknown_argument", ".b")]),
        (closed(a={}), {"b": None}, [("null_argument", ".b")]),
        (closed(a={}), {"a": None}, []),
        (closed(a={"type": ["string", "null"]}), {"a": None}, []),
        (closed(a={"type": "string"}), {"a": None}, [("null_argument", ".a")]),
        (closed(a={"enum": ["x"]}), {"a": None}, [("null_argument", ".a")]),
        (closed(a=closed(b={})), {"a": {"c": 1}}, [("unknown_argument", ".a.c")]),
        (closed(a={"items": closed(b={})}), {"a": [{"b": 1}, {"c": 1}]}, [("unknown_argument", ".a[1].c")]),
        (closed(a={}) | {"additionalProperties": True}, {"b": 1}, []),
        (closed(a={}) | {"additionalProperties": False}, {"a": 1, "b": 1}, [("unknown_argument", ".b")]),
        (closed(a={}) | {"patternProperties": {"^x": {}}}, {"xb": 1}, []),
        (closed(a={}) | {"anyOf": [closed(b={})]}, {"b": 1}, []),
        ({"type": "object"}, {"b": 1}, []),
        (
            closed(a={"type": "string"}, b={"type": "integer"}), {"a": 1, "b": "x"},
            [("argument_schema", ".a"), ("argument_schema", ".b")],
        ),
        ({"$ref": "#"}, {"b": 1}, [("tool_schema", "")]),
    ],
)  # fmt: skip
def test_every_fault_of_the_arguments_is_told_once(
    schema: JsonObject, arguments: JsonObject, expected: list[tuple[str, str]]
) -> None:
    faults = argument_faults("f", json.dumps(schema), arguments)
    assert sorted((fault.rule, fault.key) for fault in faults) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (closed() | {"additionalProperties": False}, ""),
        ({"type": "object"}, "parameters needs additionalProperties false"),
        (closed(a={}) | {"additionalProperties": False}, "parameters must require a"),
        (
            closed(a=closed()) | {"additionalProperties": False, "required": ["a"]},
            "parameters.properties.a needs additionalProperties false",
        ),
        (
            closed(a={"anyOf": [{"type": "null"}, closed()]}) | {"additionalProperties": False, "required": ["a"]},
            "parameters.properties.a.anyOf[1] needs additionalProperties false",
        ),
    ],
)
def test_a_strict_schema_closes_every_object(schema: JsonObject, expected: str) -> None:
    assert loose_object(json.dumps(schema)) == expected


def test_nearly_equal_texts_of_one_group_are_paired_with_the_earliest() -> None:
    text = "could you please ping the host called alpha and tell me what it answers"
    texts = [text, text.replace("please ", ""), "something else altogether, and at some length", text + ".", text]
    groups = ["ping", "ping", "ping", "ping", "no call"]
    assert [(pair.first, pair.later) for pair in near_pairs(groups, texts)] == [(0, 1), (0, 3)]


def test_short_and_empty_texts_are_compared_too() -> None:
    assert near_pairs(["", "", ""], ["", "hi", "hi"]) == [Pair(1, 2, 1.0)]
