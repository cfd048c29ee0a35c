"""Killed at random moments: a training ends at the same loss, a merge leaves one whole model or the other."""

import random
import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml

from train import killing
from train.killing import file_hashes, final_loss, kill_at

pytestmark = pytest.mark.slow
KILLS = 3  # of each kind
finish = partial(killing.finish, longest_s=600)


def recipe(folder: Path, model: Path, name: str, seed: int = 7) -> Path:
    sft = {"max_length": 2048, "per_device_train_batch_size": 1, "max_steps": 12, "save_steps": 1, "seed": seed}
    path = folder / f"{name}.yaml"
    settings = {
        "name": name, "runs": str(folder / "runs"), "model": {"path": str(model)}, "template": "chatml",
        "data": {"synthesize": {"train": 16, "test": 4, "seed": 1}}, "lora": {"r": 4}, "sft": sft,
        "merge": {"check_rows": 1},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_run_that_takes_too_long_is_ended_and_told_apart_from_one_that_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    with pytest.raises(TimeoutError, match=r"train\.sft still ran after 0\.01 s"):
        killing.finish("train.sft", "--help", out=out, longest_s=0.01)
    with pytest.raises(AssertionError, match=r"train\.sft ended with exit status 2"):
        killing.finish("train.sft", tmp_path / "none.yaml", out=out)


def test_a_training_that_is_killed_again_and_again_ends_at_the_same_loss(tmp_path: Path, smollm2: Path) -> None:
    out, rng = tmp_path / "out", random.Random(7)
    whole_s = finish("train.sft", recipe(tmp_path, smollm2, "whole"), out=out)
    killed, num_killed = recipe(tmp_path, smollm2, "killed"), 0
    while num_killed < KILLS:
        if not kill_at(rng.uniform(0, whole_s), "train.sft", killed, out=out):
            shutil.rmtree(tmp_path / "runs" / "killed")  # it came to its end: begin anew
        else:
            num_killed += 1
    finish("train.sft", killed, out=out)
    one, other = tmp_path / "runs" / "whole", tmp_path / "runs" / "killed"
    assert final_loss(one) == final_loss(other)
    name = "adapter_model.safetensors"
    assert file_hashes(one / "adapter")[name] == file_hashes(other / "adapter")[name]


def test_a_merge_that_is_killed_leaves_the_old_model_or_the_new_one_whole(tmp_path: Path, smollm2: Path) -> None:
    out, rng, folders = tmp_path / "out", random.Random(7), []
    for seed in (1, 2):
        finish("train.sft", recipe(tmp_path, smollm2, str(seed), seed), out=out)
        adapter, merged = tmp_path / "runs" / str(seed) / "adapter", tmp_path / f"merged-{seed}"
        whole_s = finish("train.merge", adapter, merged, out=out)
        folders.append(file_hashes(merged))
    old, new = folders
    weights = "model.safetensors"
    assert old[weights] != new[weights]
    target = tmp_path / "target"
    for _ in range(KILLS):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(tmp_path / "merged-1", target)
        kill_at(rng.uniform(0, whole_s), "train.merge", tmp_path / "runs" / "2" / "adapter", target, out=out)
        assert file_hashes(target) in (old, new)
    finish("train.merge", tmp_path / "runs" / "2" / "adapter", target, out=out)
    assert file_hashes(target) == new
    assert not target.with_name("target.partial").exists() and not target.with_name("target.old").exists()
