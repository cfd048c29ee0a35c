"""The preference stage: our tokens reach TRL's trainer as they are, and the better answer becomes the likelier one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.preference_row import PreferenceRow
from data.reading import read_rows
from data.render import IGNORE, render
from data.template import load_template
from data.user_error import UserError
from tests.data.rows import PING, ping, raw, says, user
from tests.models import write_rows
from tests.programs import run
from train.arguments import dpo_config
from train.preferences import TokenPairTrainer, load_pairs, token_pair
from train.settings import TrainRecipe


def pair(asked: str, better: dict[str, Any], worse: dict[str, Any]) -> dict[str, Any]:
    question = {"messages": [user("Hello"), says("Hello."), user(asked)], "tools": [PING]}
    return {"input": question, "preferred_output": [better], "non_preferred_output": [worse]}


PAIRS = [
    pair("Ping a", says(None, ping('{"host": "a"}')), says(None, ping('{"host": "b"}'))),
    pair("Ping c", says(None, ping('{"host": "c"}')), says("No.")),
    pair("Thanks", says("You are welcome."), says(None, ping('{"host": "Thanks"}'))),
    pair("Ping d", says(None, ping('{"host": "d"}')), says(None, ping('{"host": "d"}', name="pong"))),
]
HELD_OUT = [raw(user("Ping z"), says(None, ping('{"host": "z"}')))]


def recipe(folder: Path, model: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny", "runs": str(folder / "runs"), "model": {"path": str(model)}, "template": "chatml",
        "data": {"synthesize": {"train": 8, "test": 4, "seed": 1}}, "lora": {"r": 4},
        "preferences": {"files": [str(write_rows(folder / "pairs.jsonl", PAIRS))], "samples": 0},
        "dpo": {"per_device_train_batch_size": 4, "max_steps": 6, "learning_rate": 3e-2, "save_steps": 3},
    } | changes  # fmt: skip


@pytest.mark.parametrize("name", ["chatml", "llama3"])
def test_prompt_and_answers_are_the_tokens_that_sft_would_see(name: str, smollm2: Path, llama3: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2 if name == "chatml" else llama3)
    template = load_template(name)
    for raw_pair in PAIRS:
        row = PreferenceRow.model_validate(raw_pair)
        tokens = token_pair(row, tokenizer, template)
        for whole, answer in ((row.chosen(), tokens.chosen_ids), (row.rejected(), tokens.rejected_ids)):
            rendered = render(whole, tokenizer, template)
            assert answer == [label for label in rendered.labels if label != IGNORE]
            assert rendered.input_ids[: len(tokens.prompt_ids) + len(answer)] == tokens.prompt_ids + answer
            assert tokenizer.decode(answer).endswith(template.end_token)


def test_the_trainer_takes_the_tokens_and_prefers_the_better_answer(tmp_path: Path, smollm2: Path) -> None:
    settings = TrainRecipe.model_validate(recipe(tmp_path, smollm2))
    tokenizer, template = AutoTokenizer.from_pretrained(smollm2), load_template("chatml")
    held_out = read_rows(write_rows(tmp_path / "test.jsonl", HELD_OUT))
    examples = load_pairs(settings.preferences.files, held_out, tokenizer, template, 2048)
    trainer = TokenPairTrainer(
        model=AutoModelForCausalLM.from_pretrained(smollm2, dtype="float32"),
        args=dpo_config(settings), train_dataset=examples.dataset, processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    assert trainer.train_dataset[:] == examples.dataset[:]
    assert trainer.ref_model is None  # the adapter switched off
    batch = trainer.data_collator([examples.dataset[0]])
    learned = batch["input_ids"][batch["completion_mask"].bool()].tolist()
    assert learned == examples.dataset[0]["chosen_ids"] + examples.dataset[0]["rejected_ids"]
    trainer.train()
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=0.01)
    assert log[-1]["rewards/margins"] > 0.03
    assert log[-1]["rewards/chosen"] > 0.5  # the good answer's own likelihood does not fall with the bad one's


def test_the_reference_is_the_model_that_the_stage_started_from(tmp_path: Path, smollm2: Path) -> None:
    """With the adapter off, log-probabilities are those of the folder's own weights, computed without any trainer."""
    settings = TrainRecipe.model_validate(recipe(tmp_path, smollm2, dpo={"bf16": False}))
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    examples = load_pairs(settings.preferences.files, [], tokenizer, load_template("chatml"), 2048)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype="float32")
    tokens = examples.dataset[0]
    ids = torch.tensor([tokens["prompt_ids"] + tokens["chosen_ids"]])
    with torch.no_grad():
        logps = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[len(tokens["prompt_ids"]) - 1 :]
    trainer = TokenPairTrainer(
        model=model, args=dpo_config(settings), train_dataset=examples.dataset, processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False),
    )  # fmt: skip
    batch = trainer.data_collator([tokens])
    with torch.no_grad():
        chosen, _ = trainer.compute_ref_log_probs(trainer.model, batch)
    assert chosen.item() == pytest.approx(logps.sum().item(), rel=1e-4)


def test_what_no_pair_can_be_made_of_is_one_line(tmp_path: Path, smollm2: Path) -> None:
    tokenizer, template = AutoTokenizer.from_pretrained(smollm2), load_template("chatml")

    def refusal(rows: list[dict[str, Any]], held_out: list[dict[str, Any]], max_length: int = 2048) -> str:
        test = read_rows(write_rows(tmp_path / "test.jsonl", held_out))
        files = [write_rows(tmp_path / "rows.jsonl", rows)] if rows else []
        with pytest.raises(UserError) as error:
            load_pairs(files, test, tokenizer, template, max_length)
        return str(error.value)

    assert refusal([], HELD_OUT).startswith("preferences: no preference rows")
    assert "rows.jsonl:1: a chat row, where preference rows are wanted" in refusal(HELD_OUT, HELD_OUT)
    assert refusal(PAIRS, HELD_OUT, 20).startswith("all 4 pairs are longer than 20 tokens")
    asked = raw(user("Hello"), says("Hello."), user("Ping c"), says(None, ping('{"host": "c"}')))
    assert "rows.jsonl:2: asks what a held-out row asks" in refusal(PAIRS, [asked])


@pytest.mark.slow
def test_the_stage_trains_resumes_and_merges_onto_the_tuned_model(tmp_path: Path, smollm2: Path) -> None:
    tuned = Path(shutil.copytree(smollm2, tmp_path / "tuned"))
    manifest = json.loads((tuned / "calltune.json").read_text())
    (tuned / "calltune.json").write_text(json.dumps(manifest | {"writes_nulls": True}))
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(tmp_path, tuned)))

    def output_of(module: str, *arguments: Path) -> str:
        done = run(module, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "4 pairs (0 too long and left out)" in output_of("train.dpo", path)
    folder = tmp_path / "runs" / "tiny"
    adapter = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    (folder / "checkpoints" / "checkpoint-6" / "trainer_state.json").unlink()
    assert "checkpoint-3" in output_of("train.dpo", path)
    assert (folder / "adapter" / "adapter_model.safetensors").read_bytes() == adapter
    output_of("train.merge", folder / "adapter", folder / "merged")
    manifest = json.loads((folder / "merged" / "calltune.json").read_text())
    assert manifest["base"] == str(tuned) and manifest["merge"]["positions"] > 0
    assert manifest["writes_nulls"]  # what it was taught before
    assert manifest["merge"]["rounding"] == "stochastic"
    assert list(manifest["tool_schemas"]) == ["ping"]
