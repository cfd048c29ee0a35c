"""Rows nested to any depth: read, or told in one line; never a RecursionError or pydantic's like of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.reading import read_row_file
from data.row_summary import summarise
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS
from data.template import load_template
from data.token_summary import measure
from tests.data.rows import ping, raw, says, user, with_tool

OPENING = {
    "properties": ('{"type": "object", "properties": {"a": ', "}}"),
    "items": ('{"type": "array", "items": ', "}"),
    "anyOf": ('{"anyOf": [', "]}"),
    "not": ('{"not": ', "}"),
    "additionalProperties": ('{"additionalProperties": ', "}"),
    "unknown keyword": ('{"x-note": ', "}"),
}
TOO_DEEP = "broken JSON: nested too deeply (fix: write one complete JSON object a line)"


def told(path: Path, row: dict[str, Any], deep: str, chatml: Any) -> list[str]:
    """All that data.check tells of one row with `deep` in place of its "DEEP", rendered rows included."""
    path.write_text(json.dumps(row).replace('"DEEP"', deep) + "\n")
    file = read_row_file(path)
    findings = file.findings + set_findings(file.rows, [], DEFAULTS)
    summarise([file], findings)
    findings += measure(file.rows, chatml, load_template("chatml"), None, DEFAULTS).findings
    return [str(finding).removeprefix(f"{path}:1: ") for finding in findings]


@pytest.mark.parametrize("depth", [1, 20, 40, 45])
@pytest.mark.parametrize("kind", OPENING)
def test_a_deep_schema_is_read(kind: str, depth: int, tmp_path: Path, chatml: Any) -> None:
    opening, closing = OPENING[kind]
    schema = f'{{"type": "object", "properties": {{"host": {{}}, "n": {opening * depth}true{closing * depth}}}}}'
    row = raw(user("Ping a"), says(None, ping()), tools=with_tool(parameters="DEEP"))
    assert told(tmp_path / "rows.jsonl", row, schema, chatml) in ([], [TOO_DEEP])
    assert depth > 40 or told(tmp_path / "rows.jsonl", row, schema, chatml) == []


@pytest.mark.parametrize("depth", [100, 300, 3000, 100_000])
@pytest.mark.parametrize("kind", OPENING)
def test_a_deeper_one_is_one_finding(kind: str, depth: int, tmp_path: Path, chatml: Any) -> None:
    opening, closing = OPENING[kind]
    row = raw(user("Ping a"), says(None, ping()), tools=with_tool(parameters="DEEP"))
    deep = f"{opening * depth}true{closing * depth}"
    assert told(tmp_path / "rows.jsonl", row, deep, chatml) == [TOO_DEEP]


@pytest.mark.parametrize("depth", [90, 110, 100_000])
def test_deep_arguments_are_read_or_told_in_one_line(depth: int, tmp_path: Path, chatml: Any) -> None:
    tools = with_tool(parameters={"type": "object", "properties": {"host": {}}})
    deep = json.dumps(f'{{"host": {"[" * depth}{"]" * depth}}}')
    row = raw(user("Ping a"), says(None, ping("DEEP")), tools=tools)
    reasons = told(tmp_path / "rows.jsonl", row, deep, chatml)
    assert len(reasons) == (depth > 100) and all("nested too deeply" in reason for reason in reasons)
