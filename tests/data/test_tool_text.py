"""Tool lines written in Python are those that the templates' macros write, whatever the tool."""

from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from data.conversation import conversation
from data.reading import read_rows
from data.row import JsonObject
from data.tool_text import _written, macro_line, tool_line
from tests.data.rows import PING
from tests.data.test_fuzz import damaged_tree
from tests.eval.tricky_rows import DIALECTS

SCHEMA = {
    "type": "object", "title": "Ping", "required": ["a", "title"], "$schema": "x", "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "title": "T", "description": ""},
        "a": {"anyOf": [{"type": "null"}, {"const": None, "maxItems": 1, "minItems": 0, "minimum": 0.5, "Zeta": True}]},
        "é\n\"": {"type": ["string", "null"], "enum": ["a", None, 1e300], "default": {"b": None}, "x": {"title": "c"}},
        "e": {"$ref": "#/$defs/e"}, "f": {"items": {"prefixItems": [{}, True]}, "dependentRequired": {"a": ["b"]}},
    },
    "$defs": {"e": {"patternProperties": {"^a": {"description": "d", "format": "date"}}}},
}  # fmt: skip


def tool(parameters: JsonObject | None, **function: Any) -> JsonObject:
    return {"type": "function", "function": {"name": "ping", **function, "parameters": parameters}}


def test_every_keyword_and_every_place() -> None:
    for one in (tool(SCHEMA, description='a\n"b"'), tool(SCHEMA, description=""), tool({}), tool(None), PING):
        assert _written(one) == macro_line(one) == tool_line(one)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_client_dialect(dialect: str) -> None:
    assert _written(DIALECTS[dialect]) == macro_line(DIALECTS[dialect])


def test_damaged_schemas() -> None:
    random = Random(0)
    for _ in range(1500):
        damaged = tool(damaged_tree(deepcopy([SCHEMA]), random), description="d")
        holder = damaged["function"]
        holder["parameters"] = holder["parameters"][0] if holder["parameters"] else None
        if isinstance(holder["parameters"], dict | None):
            assert tool_line(damaged) == macro_line(damaged), damaged


def test_what_the_macros_write_in_their_own_way_is_left_to_them() -> None:
    """`anyOf` as an object is no schema; the macros take its keys for schemas."""
    odd = tool({"anyOf": {"a": {"type": "string"}}})
    assert _written(odd) != macro_line(odd) == tool_line(odd)


def test_every_tool_of_the_sets(shared_data: Path) -> None:
    for name in ("home_assistant", "seal_tools", "taskmaster_coffee"):
        for numbered in read_rows(shared_data / name / "test_unseen_tools.jsonl"):
            for one in conversation(numbered.row).tools or []:
                assert tool_line(one) == macro_line(one)
