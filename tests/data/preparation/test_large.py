"""Rows of files that are not held in memory: the stages give the same bytes."""

from pathlib import Path
from typing import Any

import pytest

from data.row_store import RowStore, fill_row_store
from data.settings import DataSection
from data.task_api.scenarios import synthesize
from data.template import load_template
from tests.models import write_rows

AUGMENT = {"shuffle_tools": 0.5, "rename_arguments": 0.5, "shorten_descriptions": 0.5, "drop_called_tool": 0.2}
SECTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "near": {"dedupe": "near", "balance": {"by": "tool", "max_ratio": 1.5}},
    "split": {"test": [], "split": {"by": "template", "test": 0.2, "validation": 0.1}, "augment": AUGMENT},
    "mixture": {"train": [], "augment": AUGMENT, "rules": {"tool_schema": "warning"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    made = synthesize(60, 15, seed=4)
    write_rows(folder / "a.jsonl", [*made.train[:40], *made.train[:3]])
    write_rows(folder / "b.jsonl", made.train[40:])
    write_rows(folder / "test.jsonl", made.test)
    return folder


def filled(folder: Path, out: Path, changes: dict[str, Any], tokenizer: Any) -> dict[str, bytes]:
    files = {"train": [folder / "a.jsonl", folder / "b.jsonl"], "test": [folder / "test.jsonl"]}
    if changes.get("train") == []:
        sources = [{"files": [folder / "a.jsonl"], "weight": 1.5}, {"files": [folder / "b.jsonl"], "share": 0.2}]
        changes = {**changes, "mixture": sources}
    store = RowStore(out / "rows")
    fill_row_store(store, DataSection.model_validate(files | changes), tokenizer, load_template("chatml"), 1500)
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


@pytest.mark.parametrize("kind", SECTIONS)
def test_rows_on_disk_give_the_same_bytes(
    kind: str, folder: Path, tmp_path: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = filled(folder, tmp_path / "held", SECTIONS[kind], chatml)
    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    monkeypatch.setattr("data.parallel_rows.CHUNK_LINES", 7)
    monkeypatch.setattr("data.parallel_render.MANY", 10)
    assert filled(folder, tmp_path / "stored", SECTIONS[kind], chatml) == held
    assert held["train.jsonl"].count(b"\n") > 30
