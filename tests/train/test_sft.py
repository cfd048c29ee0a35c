"""The real programs on a tiny random Llama: two steps, a kill, a resume, a merge."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
LAUNCH = ["-m", "accelerate.commands.launch", "--config_file", "train/accelerate/cpu.yaml", "-m", "train.sft"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


def write_recipe(folder: Path, model: Path, **changes: object) -> Path:
    recipe = {
        "name": "tiny",
        "runs": str(folder / "runs"),
        "model": {"path": str(model)},
        "template": "chatml",
        "data": {"synthesize": {"train": 24, "test": 8, "seed": 1}},
        "lora": {"r": 4},
        "sft": {"max_length": 2048, "per_device_train_batch_size": 2, "max_steps": 4, "save_steps": 1},
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def losses(folder: Path) -> list[tuple[int, float]]:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [(event["step"], round(event["loss"], 6)) for event in events if "loss" in event]


def test_a_killed_training_goes_on_from_its_checkpoint_and_merges(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    folder = tmp_path / "runs" / "tiny"
    whole = run(*LAUNCH, recipe)
    assert whole.returncode == 0, whole.stderr
    assert "trained  context  control token" in whole.stdout
    assert "24 rows" in whole.stdout
    reference = losses(folder)
    assert [step for step, _ in reference] == [1, 2, 3, 4]
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")

    shutil.rmtree(folder / "adapter")
    (folder / "events.jsonl").unlink()
    # As if killed while the last checkpoint was being written: the trainer writes this file at the end.
    (folder / "checkpoints" / "checkpoint-4" / "trainer_state.json").unlink()
    resumed = run(*LAUNCH, recipe)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from" in resumed.stdout
    assert losses(folder) == [reference[3]]
    again = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(weights[name], again[name]) for name in weights)

    merged = run("-m", "train.merge", folder / "adapter", folder / "merged")
    assert merged.returncode == 0, merged.stderr
    manifest = json.loads((folder / "merged" / "calltune.json").read_text())
    assert manifest["kind"] == "merged" and manifest["merge"]["rows"] == 8
    assert manifest["merge"]["max_logit_difference"] <= manifest["merge"]["tolerance"]
    assert sorted(manifest["tool_schemas"]) == ["complete_task", "create_task", "list_tasks", "update_task"]


def test_a_training_killed_between_steps_leaves_a_run_that_finishes(tmp_path: Path, smollm2: Path) -> None:
    sft = {"max_length": 2048, "per_device_train_batch_size": 2, "max_steps": 8, "save_steps": 1}
    recipe = write_recipe(tmp_path, smollm2, sft=sft)
    checkpoints = tmp_path / "runs" / "tiny" / "checkpoints"
    with subprocess.Popen(
        [sys.executable, *LAUNCH, recipe], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as training:  # fmt: skip
        deadline = time.monotonic() + 240
        while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
            assert training.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(training.pid, signal.SIGKILL)
    finished = run(*LAUNCH, recipe)
    assert finished.returncode == 0, finished.stderr
    assert "resuming from" in finished.stdout
    assert losses(tmp_path / "runs" / "tiny")[-1][0] == 8


def test_checkpoints_of_other_settings_are_not_resumed(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    assert run(*LAUNCH, recipe, "sft.max_steps=1").returncode == 0
    other = run("-m", "train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-3")
    assert other.returncode == 2
    assert "the checkpoints are of a training with other settings or rows" in other.stderr
    assert "Traceback" not in other.stderr
    assert run("-m", "train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-3", "--restart").returncode == 0


def test_rows_and_a_base_made_from_something_else_are_refused(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    assert run("-m", "train.sft", recipe, "--dry-run").returncode == 0
    other_rows = run("-m", "train.sft", recipe, "data.synthesize.seed=2", "--dry-run")
    assert other_rows.returncode == 2
    assert "the rows were made with other data, template or max_length" in other_rows.stderr
    other_base = run("-m", "train.sft", recipe, "template=llama3", "--dry-run")
    assert other_base.returncode == 2
    assert "with template 'chatml', not from what the recipe has now" in other_base.stderr


def test_a_merge_that_differs_from_its_adapter_writes_nothing(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2, merge={"max_logit_difference": 1e-9})
    assert run("-m", "train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-2").returncode == 0
    folder = tmp_path / "runs" / "tiny"
    merged = run("-m", "train.merge", folder / "adapter", folder / "merged")
    assert merged.returncode == 2, merged.stdout
    assert "the merged model differs from the adapter" in merged.stderr
    assert not (folder / "merged").exists()
