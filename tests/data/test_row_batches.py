"""Rows worked on by all cores: the same rows, findings and figures as of one process, in the same order."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from data.checking.tool_coverage import tool_coverage
from data.reading import NumberedRow, RowFile, read_row_file
from data.row_batches import in_batches
from data.row_summary import summarise
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS
from data.stored_rows import joined
from data.task_api.scenarios import synthesize
from tests.data.rows import GOOD, ping, raw, says, user
from tests.data.test_fuzz import LEGACY


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def places(batch: list[NumberedRow]) -> list[tuple[str, int, str]]:
    return [(numbered.path.name, numbered.line, numbered.row.model_dump_json()) for numbered in batch]


def test_all_cores_find_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthesize(120, 20, seed=3)
    copies = Random(1).sample(made.train, 20)
    otherwise = raw(user("Ping a"), says(None, ping('{"host": "b"}')))
    bare = {"messages": [user("Hi"), says("Hello.")]}
    first = write(tmp_path / "first.jsonl", [*made.train, LEGACY, GOOD, raw(user("Ping a"), says(None, ping()))])
    second = write(tmp_path / "second.jsonl", [*copies, otherwise, bare, *made.test[:3]])
    held_out = write(tmp_path / "test.jsonl", made.test)

    def all_places(files: list[RowFile]) -> list[Any]:
        return [place for batch in in_batches(places, joined([file.rows for file in files])) for place in batch]

    def everything() -> list[Any]:
        files = [read_row_file(path) for path in (first, second)]
        rows = joined([file.rows for file in files])
        found = set_findings(rows, read_row_file(held_out).rows, DEFAULTS)
        return [all_places(files), found, summarise(files, found), tool_coverage(rows)]

    alone = everything()
    held = [read_row_file(path) for path in (first, second)]
    rules = {finding.fault.rule for finding in alone[1]}
    assert rules == {"duplicate", "contradiction", "uneven_tools", "leak"} and len(alone[0]) == 148
    monkeypatch.setattr("data.row_batches.MANY", 0)
    assert all_places(held) == alone[0]
    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    assert everything() == alone
