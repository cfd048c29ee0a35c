"""What the manifest tells of the tools in training."""

from typing import Any

import pytest

from train.manifest import teach_nulls

OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (None, False),
        ({}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": OR_NULL}}, False),  # left out, as far as rows show
        ({"type": "object", "properties": {"a": OR_NULL}, "required": ["a"]}, True),
        ({"type": "object", "properties": {"a": {"properties": {"b": OR_NULL}, "required": ["b"]}}}, True),
    ],
)
def test_a_required_argument_that_may_be_null_teaches_nulls(parameters: Any, expected: bool) -> None:
    plain = {"type": "function", "function": {"name": "plain", "parameters": {"type": "object"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert teach_nulls([plain, tool]) is expected
    assert teach_nulls([]) is False
