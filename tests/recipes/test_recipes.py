import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data.settings import load_settings
from data.user_error import UserError
from recipes.pipeline import Pipeline
from recipes.recipe import Recipe
from recipes.steps import Ledger
from tests.conftest import ROOT
from train.arguments import dpo_config, lora_config, quantization_config, require_known_keys, sft_config

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
names = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


@names
def test_every_recipe_resolves_to_the_classes_that_own_its_sections(path: Path) -> None:
    recipe = load_settings(path, [], Recipe)
    assert sft_config(recipe).max_length == recipe.max_length
    assert recipe.dpo is None or dpo_config(recipe).max_length == recipe.max_length
    assert lora_config(recipe).r == 16
    assert (quantization_config(recipe) is not None) == ("qlora" in path.stem)


@names
def test_every_recipe_is_short_and_starts_with_its_command(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) < 40
    assert f"recipes/{path.name}" in lines[0]


@names
def test_every_recipe_names_its_steps(path: Path, tmp_path: Path) -> None:
    recipe = load_settings(path, [f"runs={tmp_path}"], Recipe)
    require_known_keys(recipe)
    pairs = ["pairs"] if "dpo" in path.stem else []
    assert open_steps(recipe) == ["base", "rows", "parity", "baseline", *pairs, "train", "merge", "score", "gate"]


def test_a_dry_run_lists_the_steps_and_writes_nothing(tmp_path: Path) -> None:
    done = run("-m", "recipes.run", "recipes/quickstart.yaml", f"runs={tmp_path}", "--dry-run")
    assert done.returncode == 0, done.stderr
    steps = ["base", "rows", "parity", "baseline", "train", "merge", "score", "gate"]
    assert done.stdout.splitlines()[-len(steps) :] == [f"to do: {step}" for step in steps]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama3-8b-lora", "llama3-8b-qlora"])
def test_the_8b_recipes_train_two_steps_on_a_tiny_llama3(name: str, tmp_path: Path, llama3_weights: Path) -> None:
    """Same architecture, real Llama-3 tokenizer, random weights; 4-bit runs on CPU too, through bitsandbytes."""
    changes = [
        f"model.path={llama3_weights}", f"runs={tmp_path / 'runs'}", "sft.max_steps=2", "sft.max_length=4096",
        "sft.per_device_train_batch_size=1", "sft.gradient_accumulation_steps=1", "data.train=[]", "data.test=[]",
        "data.synthesize={train: 8, test: 4}",
    ]  # fmt: skip
    done = run("-m", "train.sft", ROOT / "recipes" / f"{name}.yaml", *changes)
    assert done.returncode == 0, done.stderr
    [folder] = (tmp_path / "runs").iterdir()
    training = json.loads((folder / "adapter" / "training.json").read_text())
    assert [event["step"] for event in training["log"] if "loss" in event] == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sft.lerning_rate=1", "unknown key 'sft.lerning_rate' (fix: did you mean 'learning_rate'?)"),
        ("lora.rank=8", "unknown key 'lora.rank'"),
        ("sft.packing=true", "sft.packing cannot be set: set `pack_tokens`"),
        ("sft.assistant_only_loss=true", "labels come from data.render"),
        ("dpo.betta=1", "unknown key 'dpo.betta' (fix: did you mean 'beta'?)"),
        ("dpo.max_length=9", "dpo.max_length cannot be set: the longest row of a run is sft.max_length"),
        ("serve.prot=1", "unknown key 'serve.prot' (fix: did you mean 'port'?)"),
        ("gate.thresholds.exact=1.5", "key 'gate.thresholds.exact'"),
        ("template=vicuna", "key 'template'"),
        ("sft.lr_scheduler_type=wobbly", "section 'sft'"),
    ],
)
def test_a_wrong_key_is_told_in_one_line(change: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        require_known_keys(load_settings(ROOT / "recipes" / "quickstart.yaml", [change], Recipe))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", ["serve.prot=1", "sft.packing=true"])
def test_a_wrong_key_ends_the_program_with_exit_2(change: str, tmp_path: Path) -> None:
    done = run("-m", "recipes.run", "recipes/quickstart.yaml", f"runs={tmp_path}", change, "--dry-run")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")


def small_recipe(tmp_path: Path, **changes: object) -> Recipe:
    raw = yaml.safe_load((ROOT / "recipes" / "quickstart.yaml").read_text()) | {"runs": str(tmp_path)} | changes
    return Recipe.model_validate(raw)


def ledger_with_all_done(recipe: Recipe) -> Ledger:
    ledger = Ledger(recipe)
    for step in Pipeline(recipe).steps():
        for output in step.outputs:
            path = recipe.folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        ledger.is_done(step)
        ledger.note(step, 1.0, 0)
    return ledger


def open_steps(recipe: Recipe) -> list[str]:
    ledger = Ledger(recipe)
    return [step.name for step in Pipeline(recipe).steps() if not ledger.is_done(step)]


def test_a_step_is_skipped_until_something_it_reads_changes(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    assert open_steps(recipe) == ["base", "rows", "parity", "baseline", "train", "merge", "score", "gate"]
    ledger_with_all_done(recipe)
    assert open_steps(recipe) == []
    assert open_steps(small_recipe(tmp_path, gate={"thresholds": {"exact": 0.9}})) == ["gate"]
    assert open_steps(small_recipe(tmp_path, lora={"r": 8})) == ["train", "merge", "score", "gate"]
    assert open_steps(small_recipe(tmp_path, eval={"max_tokens": 9})) == ["baseline", "score", "gate"]
    (recipe.folder / "merged" / "calltune.json").unlink()
    assert open_steps(recipe) == ["merge"]
    (recipe.folder / "eval.json").write_text("{}")  # deleted, and scored once more
    assert open_steps(recipe) == ["merge", "gate"]


def test_a_preference_stage_asks_the_model_only_where_it_shall(tmp_path: Path) -> None:
    stage = {"dpo": {"beta": 0.2}, "preferences": {"samples": 0, "files": []}}
    assert "pairs" not in open_steps(small_recipe(tmp_path, **stage))
    asking = small_recipe(tmp_path, **stage | {"preferences": {"samples": 2}})
    ledger_with_all_done(asking)
    assert open_steps(asking) == []
    assert open_steps(asking.model_copy(update={"dpo": {"beta": 0.3}})) == ["train", "merge", "score", "gate"]


def test_a_preference_stage_begins_anew_when_its_model_was_tuned_anew(tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    (tuned / "calltune.json").write_text("{}")
    recipe = small_recipe(tmp_path, dpo={}, model={"path": str(tuned)})
    ledger_with_all_done(recipe)
    assert open_steps(recipe) == []
    (tuned / "calltune.json").write_text('{"adapter_sha256": "other"}')
    assert open_steps(recipe)[0] == "base"


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl: cannot be read"):
        open_steps(small_recipe(tmp_path, data={"train": ["gone.jsonl"], "test": ["gone.jsonl"]}))
    with pytest.raises(UserError, match=r"gone\.jsonl: cannot be read"):
        open_steps(small_recipe(tmp_path, data={"mixture": [{"files": ["gone.jsonl"]}], "split": {"by": "row"}}))
