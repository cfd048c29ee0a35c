"""Preparing files that are not held in memory: a killed run goes on with what it had found, and memory stays flat."""

import gc
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from data.parallel_render import row_lengths
from data.preparation import lengths
from data.row import JsonObject
from data.row_store import RowStore, fill_row_store
from data.settings import DataSection
from data.task_api.scenarios import synthesize
from data.template import load_template
from data.unfinished import Unfinished
from data.user_error import UserError
from tests.conftest import ROOT
from tests.data.rows import ping, raw, says, user
from tests.models import write_rows

WAIT_S = 120
MAX_LENGTH = 10_000
PREPARE = "import data.reading; data.reading.LARGE_BYTES = -1; from data.prepare import main; main()"


def section(folder: Path) -> JsonObject:
    made = synthesize(400, 40, seed=4)
    files = [write_rows(folder / f"{name}.jsonl", rows) for name, rows in (("train", made.train), ("test", made.test))]
    split = {"by": "template", "test": 0, "validation": 0.1}
    return {"train": [str(files[0])], "test": [str(files[1])], "dedupe": "near", "split": split}


def fill(run: Path, settings: JsonObject, tokenizer: Any) -> None:
    section = DataSection.model_validate(settings)
    fill_row_store(RowStore(run / "rows"), section, tokenizer, load_template("chatml"), MAX_LENGTH)


def filled(run: Path, settings: JsonObject, tokenizer: Any) -> dict[str, bytes]:
    fill(run, settings, tokenizer)
    assert [path.name for path in run.iterdir()] == ["rows"]
    return {path.name: path.read_bytes() for path in (run / "rows").iterdir()}


def test_a_killed_run_goes_on_with_what_it_had_found(
    tmp_path: Path, smollm2: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = section(tmp_path)
    recipe = {
        "name": "killed",
        "runs": str(tmp_path),
        "template": "chatml",
        "data": settings,
        "sft": {"max_length": MAX_LENGTH},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "recipe.yaml"), "--tokenizer", str(smollm2)]
    program = subprocess.Popen(command, cwd=ROOT)
    journal, since = tmp_path / "killed" / "rows.unfinished" / "lengths-train.jsonl", monotonic()
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 20):
        assert program.poll() is None and monotonic() - since < WAIT_S
        sleep(0.005)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["rows.unfinished"]
    num_found = journal.read_bytes().count(b"\n")
    num_rendered = 0

    def counted(*arguments: Any) -> Iterator[Any]:
        nonlocal num_rendered
        for found in row_lengths(*arguments):
            num_rendered += 1
            yield found

    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    whole = filled(tmp_path / "whole", settings, chatml)
    for done_before in ("data.reading.on_all_cores", "data.preparation.likeness._sorted_pairs"):
        monkeypatch.setattr(done_before, None)
    monkeypatch.setattr(lengths, "row_lengths", counted)
    assert filled(tmp_path / "killed", settings, chatml) == whole
    summary = json.loads(whole["summary.json"])
    num_rows = sum(summary[name]["rows"] for name in ("train", "validation", "test"))
    assert 20 <= num_found < 300 and num_rendered == num_rows - num_found


def numbers(made: list[int]) -> Callable[[int], Iterator[list[int]]]:
    def make(done: int) -> Iterator[list[int]]:
        for number in range(done, 5):
            made.append(number)
            yield [number]

    return make


def test_results_are_found_once(tmp_path: Path) -> None:
    made: list[int] = []
    folder = tmp_path / "found"
    assert list(islice(Unfinished(folder, "key").results("stage", numbers(made)), 3)) == [[0], [1], [2]]
    with (folder / "stage.jsonl").open("a") as file:
        file.write("[3")  # killed while it was written
    assert list(Unfinished(folder, "key").results("stage", numbers(made))) == [[0], [1], [2], [3], [4]]
    assert made == [0, 1, 2, 3, 4]
    assert list(Unfinished(folder, "key").results("stage", numbers(made))) == [[0], [1], [2], [3], [4]]
    assert made == [0, 1, 2, 3, 4]
    assert list(Unfinished(folder, "other").results("stage", numbers(made))) == [[0], [1], [2], [3], [4]]
    assert made == [0, 1, 2, 3, 4] * 2


def test_two_runs_do_not_write_the_same_results(tmp_path: Path) -> None:
    first = Unfinished(tmp_path / "found", "key").results("stage", numbers([]))
    next(first)
    with pytest.raises(UserError, match="another run is writing this file"):
        next(Unfinished(tmp_path / "found", "key").results("stage", numbers([])))


def long_rows(path: Path, num_rows: int) -> JsonObject:
    """Rows of 20 kB, each with a call of its own."""
    text = "Ping the host that I named before, and be quick about it. " * 345
    with path.open("w") as file:
        for number in range(num_rows):
            call = ping({"host": f"host-{number}"})
            file.write(json.dumps(raw(user(f"{number} {text}"), says(None, call))) + "\n")
    return {"train": [str(path)], "dedupe": "near", "split": {"by": "row", "test": 10}}


def peak_mib() -> int:
    """Largest resident memory of this process since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) // 1024


def forget_peak() -> None:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    monkeypatch.setattr("data.parallel_rows.CHUNK_LINES", 10)
    peaks = []
    for num_rows in (200, 1000):
        settings = long_rows(tmp_path / "rows.jsonl", num_rows)
        forget_peak()
        fill(tmp_path / str(len(peaks)), settings, chatml)
        peaks.append(peak_mib())
    assert (tmp_path / "rows.jsonl").stat().st_size > 20e6
    assert peaks[1] - peaks[0] < 10, peaks
