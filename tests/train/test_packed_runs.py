"""train.sft with packs on a tiny random Llama: two processes, a kill in the middle of an epoch, 60 steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.programs import run
from train.cpu_dtype import cpu_dtype

pytestmark = pytest.mark.slow
LAUNCH = ["-m", "accelerate.commands.launch", "--cpu", "--num_machines=1", "--mixed_precision=no"]


def train(folder: Path, model: Path, name: str, processes: int = 1, **changes: object) -> list[float]:
    """The loss of each step."""
    sft = {"max_length": 2048, "bf16": False, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "max_steps": 5}
    recipe = {
        "name": name, "runs": str(folder / "runs"), "model": {"path": str(model)}, "template": "chatml",
        "lora": {"r": 4}, "data": {"synthesize": {"train": 24, "test": 8, "seed": 1}},
        "sft": sft | changes.pop("sft", {}), **changes,  # type: ignore[dict-item]
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    if processes == 1:
        done = run("train.sft", path)
    else:
        command = [sys.executable, *LAUNCH, f"--num_processes={processes}", "-m", "train.sft", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = map(json.loads, (folder / "runs" / name / "events.jsonl").read_text().splitlines())
    return [event["loss"] for event in events if "loss" in event]


def test_two_processes_train_as_one(tmp_path: Path, smollm2: Path) -> None:
    """With packs so small that the processes have different numbers of them; one epoch of six steps."""
    one = train(tmp_path, smollm2, "one", sft={"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2})
    sft = {"per_device_train_batch_size": 2}
    two = train(tmp_path, smollm2, "two", processes=2, sft=sft, pack_tokens=1000)
    # The base is in bf16 and steps are large: packs alone move the loss of one step in sixty by 1 %. That gradients are
    # the same is shown in fp32 (test_processes.py).
    assert two == pytest.approx(one, rel=2e-2)


def test_a_run_cut_in_the_middle_of_an_epoch_goes_on_to_the_same_losses(tmp_path: Path, smollm2: Path) -> None:
    sft = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_steps": 9, "save_steps": 4}
    whole = train(tmp_path, smollm2, "run", sft=sft)
    folder = tmp_path / "runs" / "run"
    assert (folder / "checkpoints" / "checkpoint-8").is_dir()  # in the second epoch of six steps
    (folder / "events.jsonl").unlink()
    (folder / "checkpoints" / "checkpoint-9" / "trainer_state.json").unlink()
    assert train(tmp_path, smollm2, "run", sft=sft) == whole[8:]


def test_sixty_steps_end_within_one_percent_of_the_unpacked_loss(tmp_path: Path, smollm2: Path) -> None:
    sft = {"max_steps": 60, "bf16": cpu_dtype() == "bfloat16", "save_steps": 1000}
    packed = train(tmp_path, smollm2, "packed", sft=sft)
    plain = train(tmp_path, smollm2, "plain", sft=sft, pack_tokens=0)
    assert len(packed) == len(plain) == 60 and plain[-1] < 0.95 * plain[0]
    assert sum(packed[-5:]) == pytest.approx(sum(plain[-5:]), rel=0.01)
