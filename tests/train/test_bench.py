"""The benchmark's whole way on a tiny random network: figures that can be checked, not speed."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.programs import run

COFFEE = ROOT / "data" / "samples" / "taskmaster_coffee" / "train.jsonl"


@pytest.mark.slow
def test_ours_and_trl_on_the_same_rows(tmp_path: Path, smollm2: Path) -> None:
    out = tmp_path / "bench.json"
    sizes = ["--rows", "8", "--rows-per-step", "4", "--trl-batch", "4", "--steps", "2"]
    done = run("train.bench", COFFEE, "--model", smollm2, *sizes, "--json", out)
    assert done.returncode == 0, done.stderr
    ways = json.loads(out.read_text())["taskmaster_coffee"]
    assert list(ways) == ["ours", "trl padded", "trl packed"]
    ours, padded = ways["ours"], ways["trl padded"]
    assert ours["losses"] == pytest.approx(padded["losses"], rel=5e-3)  # the same rows in each step
    ratio = ours["row_tokens_per_s"] / ours["computed_tokens_per_s"]
    assert ratio > 1.5 and padded["row_tokens_per_s"] < padded["computed_tokens_per_s"]
    assert all(figures["peak_gib"] > 0 and figures["rows_per_s"] > 0 for figures in ways.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trl-batch", "3"], "--rows-per-step is no multiple of --trl-batch"),
        (["--steps", "1"], "one step is all warm-up"),
        (["--narrow", COFFEE], "has 7 tools"),
    ],
)
def test_wrong_options_are_one_line(options: list[str], message: str, smollm2: Path) -> None:
    done = run("train.bench", "--model", smollm2, *options)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
