"""Small records in other layouts, and what becomes of them."""

import json
from pathlib import Path
from typing import Any

from data.conversion import Kept, Refusal, convert_file
from data.layouts.detection import detect
from data.row import JsonObject
from data.source_records import read_records
from tests.data.rows import PING
from tests.models import write_rows

PING_BARE = PING["function"]
PING_CALL = json.dumps({"name": "ping", "arguments": {"host": "a"}})
CALLED = ("call", "ping", {"host": "a"})


def outcomes(tmp_path: Path, *records: JsonObject, tools: list[JsonObject] | None = None) -> tuple[str, list[Any]]:
    path = write_rows(tmp_path / "in.jsonl", list(records))
    layout = detect(path, read_records(path))
    return layout.name, list(convert_file(path, layout, tools))


def row_of(tmp_path: Path, record: JsonObject, layout: str) -> JsonObject:
    found, (outcome,) = outcomes(tmp_path, record)
    assert isinstance(outcome, Kept), outcome
    assert found == layout
    row: JsonObject = json.loads(outcome.line)
    return row


def refusal_of(tmp_path: Path, record: JsonObject) -> tuple[str, str]:
    _, (outcome,) = outcomes(tmp_path, record)
    assert isinstance(outcome, Refusal), outcome
    return outcome.cause, outcome.what


def said(who: str, value: Any) -> JsonObject:
    return {"from": who, "value": value}


def sharegpt(*items: JsonObject, **keys: Any) -> JsonObject:
    return {"conversations": list(items), "tools": json.dumps([PING_BARE])} | keys
