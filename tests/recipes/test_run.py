"""The whole job for real, on a network too small to learn anything: every program, two vLLM servers, one verdict."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, descendants, is_running

pytestmark = pytest.mark.slow


def run(recipe: str, *changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recipes.run", recipe, *changes]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def left_after_a_kill(recipe: str, *changes: str) -> list[int]:
    """The processes that still run some time after the runner was killed in the middle of a training."""
    command = [sys.executable, "-m", "recipes.run", recipe, *changes]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
        pids: list[int] = []
        while sum("train.sft" in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids) < 2:
            assert runner.poll() is None  # until accelerate is there, and the training below it
            time.sleep(0.5)
            pids = descendants(runner.pid)
        runner.kill()
    time.sleep(5)
    return [pid for pid in pids if is_running(pid)]


def test_a_model_that_learnt_nothing_goes_through_every_step_and_fails_the_gate(tmp_path: Path, smollm2: Path) -> None:
    changes = [
        f"model.path={smollm2}", f"runs={tmp_path}", "name=tiny", "data.synthesize={train: 16, test: 6}",
        "sft.max_steps=2", "sft.max_length=2048", "eval.max_tokens=24",
    ]  # fmt: skip
    first = run("recipes/quickstart.yaml", *changes)
    folder = tmp_path / "tiny"
    assert first.returncode == 1, first.stdout + first.stderr
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["outcome"] == "FAIL"
    parity = json.loads((folder / "parity.json").read_text())
    assert parity, "the parity step wrote nothing"
    scored = json.loads((folder / "eval.json").read_text())
    assert [scored[run]["endpoint"]["model"] for run in ("baseline", "candidate")] == ["tiny-base", "tiny"]
    assert "FAIL" in (folder / "report.html").read_text()
    assert "FAIL" in (folder / "model_card.md").read_text()
    assert "<failure" in (folder / "junit.xml").read_text()
    manifest = json.loads((folder / "merged" / "calltune.json").read_text())
    assert manifest["recipe"]["name"] == "tiny"

    again = run("recipes/quickstart.yaml", *changes)
    assert again.returncode == 1, again.stdout + again.stderr
    assert again.stdout.count("done before, inputs unchanged") == 8

    changes.append("sft.learning_rate=1e-3")
    changed = run("recipes/quickstart.yaml", *changes)
    assert changed.returncode == 2
    assert "add --restart to begin anew" in changed.stderr
    restarted = run("recipes/quickstart.yaml", *changes, "merge.max_logit_difference=1e-9", "--restart")
    assert restarted.returncode == 2, restarted.stdout + restarted.stderr
    assert "the merged model differs from the adapter" in restarted.stderr

    launched = ("accelerate=train/accelerate/cpu.yaml", "sft.max_steps=500", "--restart")
    assert left_after_a_kill("recipes/quickstart.yaml", *changes, *launched) == []

    (folder / "merged" / "calltune.json").unlink()
    (folder / "adapter" / "training.json").write_text("{}")
    broken = run("recipes/quickstart.yaml", *changes)
    assert broken.returncode in (1, 2)
    assert "step merge failed" in broken.stdout
    assert not (folder / "merged.partial" / "calltune.json").exists()
