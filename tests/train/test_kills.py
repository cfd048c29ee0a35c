"""Killed at random moments: a training ends at the same loss, a merge leaves one whole model or the other."""

import json
from pathlib import Path

import pytest

from tests.programs import run

pytestmark = pytest.mark.slow


def test_what_is_killed_goes_on_or_leaves_a_whole_model(tmp_path: Path, smollm2: Path) -> None:
    """A few of the kills that `python -m train.kill_test` makes."""
    out = tmp_path / "kills.json"
    done = run("train.kill_test", "--model", smollm2, "--kills", "6", "--json", out)
    assert done.returncode == 0, done.stderr
    assert "the last merge, undisturbed, leaves the new model" in " ".join(done.stdout.split())
    training, merging = json.loads(out.read_text()).values()
    assert len(training["kills"]) == len(merging["kills"]) == 3
    assert {left for _, left in merging["kills"]} <= {"old model", "new model"}
