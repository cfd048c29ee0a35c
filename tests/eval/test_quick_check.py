"""The quick check says of every value what jsonschema says, or nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from data.task_api.service import TASK_TOOLS
from eval.quick_check import quick_check

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from([0.0, 1.0, 2.5, 1e300]), st.text("ab1é", max_size=3),
)  # fmt: skip
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])


def schemas() -> st.SearchStrategy[Any]:
    def within(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.fixed_dictionaries(
            {},
            optional={
                "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
                "enum": st.lists(LEAVES, min_size=1, max_size=3),
                "properties": st.dictionaries(KEYS, inner, max_size=3),
                "required": st.lists(KEYS, max_size=2, unique=True),
                "additionalProperties": st.booleans() | inner,
                "items": inner,
                "minLength": st.integers(0, 3), "maxLength": st.integers(0, 3),
                "minimum": st.integers(-2, 3), "maximum": st.integers(0, 9),
                "pattern": st.sampled_from(["^a", "1$", "^[ab]+$"]),
                "format": st.just("date"), "description": st.just("words"),
                "uniqueItems": st.just(True), "anyOf": st.lists(inner, min_size=1, max_size=2),
            },
        )  # fmt: skip

    return st.recursive(st.just({}), within, max_leaves=6)


@settings(max_examples=400, deadline=None)
@given(schemas(), VALUES)
def test_it_says_what_jsonschema_says(schema: Any, value: Any) -> None:
    check = quick_check(schema)
    assert check is None or check(value) == Draft202012Validator(schema).is_valid(value)


LEFT_ALONE = [
    {"anyOf": [{}]}, {"properties": {"a": {"$ref": "#"}}}, {"enum": [1, "a"]}, {"pattern": "("}, True, [],
    {"type": 1}, {"type": [[]]}, {"properties": []}, {"required": "a"}, {"required": [[]]}, {"minLength": "1"},
]  # fmt: skip


@pytest.mark.parametrize("schema", LEFT_ALONE)
def test_what_it_does_not_know_it_leaves_alone(schema: Any) -> None:
    assert quick_check(schema) is None


def test_it_knows_the_schemas_of_the_task_api() -> None:
    for tool in TASK_TOOLS:
        check = quick_check(tool["function"]["parameters"])
        assert check is not None and not check({"colour": "red"})
