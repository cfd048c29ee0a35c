"""The benchmark of data.check, at a size that takes seconds."""

import json
from pathlib import Path

import pytest

from data import benchmark
from data.reading import read_row_file
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS


def test_its_rows_are_good_distinct_and_the_same_each_time(tmp_path: Path) -> None:
    benchmark.write_rows(tmp_path / "a.jsonl", 300)
    benchmark.write_rows(tmp_path / "b.jsonl", 300)
    data = (tmp_path / "a.jsonl").read_bytes()
    assert data == (tmp_path / "b.jsonl").read_bytes() and len(data) > 300 * benchmark.ROW_BYTES
    file = read_row_file(tmp_path / "a.jsonl")
    assert len(file.rows) == 300
    assert [str(finding) for finding in set_findings(file.rows, [], DEFAULTS)] == []


def test_it_measures_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "figures.json"
    arguments = ["--rows", "20", "40", "--folder", str(tmp_path), "--json", str(out)]
    monkeypatch.setattr("sys.argv", ["benchmark", *arguments])
    benchmark.main()
    measured = json.loads(out.read_text())
    assert [one["rows"] for one in measured] == [20, 40]
    assert all(20 < one["main_mib"] <= one["all_mib"] < 4000 and one["rows_per_s"] > 0 for one in measured)
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]
