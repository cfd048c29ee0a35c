"""The real programs on a tiny random Llama: two steps, a kill, a resume, a merge."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.reading import read_rows
from data.render import IGNORE, render
from data.template import load_template
from tests.conftest import ROOT
from tests.programs import run

pytestmark = pytest.mark.slow
LAUNCH = ["-m", "accelerate.commands.launch", "--config_file", "train/accelerate/cpu.yaml", "-m", "train.sft"]


def launch(recipe: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *LAUNCH, recipe], cwd=ROOT, capture_output=True, text=True, check=False)


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


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(event["step"], round(event["loss"], 6)) for event in events(folder) if "loss" in event]


def test_a_killed_training_goes_on_from_its_checkpoint_and_merges(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    folder = tmp_path / "runs" / "tiny"
    whole = launch(recipe)
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
    resumed = run("train.sft", recipe)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from" in resumed.stdout
    assert losses(folder) == [reference[3]]
    again = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(weights[name], again[name]) for name in weights)

    merged = run("train.merge", folder / "adapter", folder / "merged")
    assert merged.returncode == 0, merged.stderr
    manifest = json.loads((folder / "merged" / "calltune.json").read_text())
    assert manifest["kind"] == "merged" and manifest["merge"]["rows"] == 8
    assert manifest["merge"]["max_logit_difference"] <= manifest["merge"]["tolerance"]
    assert sorted(manifest["tool_schemas"]) == ["complete_task", "create_task", "list_tasks", "update_task"]
    assert manifest["writes_nulls"] is False


def test_checkpoints_of_other_settings_are_not_resumed(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    assert run("train.sft", recipe, "sft.max_steps=1").returncode == 0
    other = run("train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-3")
    assert other.returncode == 2
    assert "the checkpoints are of a training with other settings or rows" in other.stderr
    assert "Traceback" not in other.stderr
    assert run("train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-3", "--restart").returncode == 0


def test_rows_and_a_base_made_from_something_else_are_refused(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2)
    assert run("train.sft", recipe, "--dry-run").returncode == 0
    other_rows = run("train.sft", recipe, "data.synthesize.seed=2", "--dry-run")
    assert other_rows.returncode == 2
    assert "the rows were made with other data, template or max_length" in other_rows.stderr
    other_base = run("train.sft", recipe, "template=llama3", "--dry-run")
    assert other_base.returncode == 2
    assert "with template 'chatml', not from what the recipe has now" in other_base.stderr


def test_a_merge_that_differs_from_its_adapter_writes_nothing(tmp_path: Path, smollm2: Path) -> None:
    recipe = write_recipe(tmp_path, smollm2, merge={"max_logit_difference": 1e-9})
    assert run("train.sft", recipe, "sft.max_steps=1", "sft.learning_rate=1e-2").returncode == 0
    folder = tmp_path / "runs" / "tiny"
    merged = run("train.merge", folder / "adapter", folder / "merged")
    assert merged.returncode == 2, merged.stdout
    assert "the merged model differs from the adapter" in merged.stderr
    assert not (folder / "merged").exists()


def test_validation_rows_give_the_loss_of_a_labelled_token_after_each_epoch(tmp_path: Path, smollm2: Path) -> None:
    data = {"synthesize": {"train": 24, "test": 8, "seed": 1}, "split": {"test": 0, "validation": 5}}
    sft = {"max_length": 2048, "per_device_train_batch_size": 8, "per_device_eval_batch_size": 2, "num_train_epochs": 2}
    recipe = write_recipe(tmp_path, smollm2, data=data, sft=sft)
    packed = run("train.sft", recipe)
    assert packed.returncode == 0, packed.stderr
    folder = tmp_path / "runs" / "tiny"
    assert len((folder / "rows" / "validation.jsonl").read_text().splitlines()) == 5
    evaluated = [event for event in events(folder) if "eval_loss" in event]
    assert [event["epoch"] for event in evaluated] == [1, 2]
    assert evaluated[0]["eval_loss"] > evaluated[1]["eval_loss"]

    # The adapter as it lies there, on those rows one by one.
    template, tokenizer = load_template("chatml"), AutoTokenizer.from_pretrained(smollm2)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(smollm2), folder / "adapter").float()
    loss_sum, num_tokens = 0.0, 0
    for item in read_rows(folder / "rows" / "validation.jsonl"):
        row = render(item.row, tokenizer, template)
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0, :-1]
        loss_sum += torch.nn.functional.cross_entropy(logits, torch.tensor(row.labels[1:]), reduction="sum").item()
        num_tokens += sum(label != IGNORE for label in row.labels)
    assert evaluated[1]["eval_loss"] == pytest.approx(loss_sum / num_tokens, rel=2e-3)
    trained = [event["num_tokens"] for event in events(folder) if "loss" in event]
    assert trained[-1] == 2 * json.loads((folder / "rows" / "summary.json").read_text())["train"]["tokens"]

    padded = run("train.sft", recipe, "pack_tokens=0", "--restart")
    assert padded.returncode == 0, padded.stderr
    again = [event["eval_loss"] for event in events(folder) if "eval_loss" in event][2:]
    assert again == pytest.approx([event["eval_loss"] for event in evaluated], rel=5e-3)


def test_evaluation_without_validation_rows_is_refused(tmp_path: Path, smollm2: Path) -> None:
    done = run("train.sft", write_recipe(tmp_path, smollm2), "sft.eval_strategy=steps")
    assert done.returncode == 2
    assert "sft.eval_strategy is set, but there are no validation rows" in done.stderr
