"""The trainers beside TRL's own on the same rows: same losses, whatever the batch, the accumulation and the packs."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from data.render import IGNORE
from train.trainers import LabelledLossTrainer, PackedTrainer


def rows(number: int) -> Dataset:
    """Eighty tokens that all begin with, then twenty to sixty of their own, the last fifteen of which are trained."""
    draw = random.Random(0)
    tools = [draw.randrange(1000) for _ in range(80)]
    input_ids = [tools + [draw.randrange(1000) for _ in range(draw.randint(20, 60))] for _ in range(number)]
    return Dataset.from_dict(
        {"input_ids": input_ids, "labels": [[IGNORE] * (len(row) - 15) + row[-15:] for row in input_ids]}
    )


def trained(cls: Any, smollm2: Path, folder: Path, *, num_rows: int, pack: dict[str, int], **arguments: Any) -> Any:
    """A trainer after its steps; the adapter's first values are those of the seed."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    defaults = {
        "optim": "sgd", "learning_rate": 1.0, "logging_steps": 1, "report_to": "none", "use_cpu": True,
        "save_strategy": "no", "disable_tqdm": True, "max_length": 2048, "bf16": False, "gradient_checkpointing": False,
    }  # fmt: skip
    trainer = cls(
        model=model,
        args=SFTConfig(output_dir=str(folder), **defaults | arguments),
        train_dataset=rows(num_rows),
        processing_class=AutoTokenizer.from_pretrained(smollm2),
        peft_config=LoraConfig(r=4, target_modules="all-linear"),
        **pack,
    )
    trainer.train()
    return trainer


def logged(trainer: Any, key: str) -> list[float]:
    """Of each step."""
    return [event[key] for event in trainer.state.log_history if key in event and "loss" in event]


def adapter(trainer: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters() if p.requires_grad])


@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "checkpointing"])
def test_steps_are_those_of_trl_row_for_row(smollm2: Path, tmp_path: Path, checkpointing: bool) -> None:
    """Two epochs, a short last step in each; TRL accumulates pairs of rows, we pack the four of a step by budget."""
    steps = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_rows": 6, "max_steps": 4}
    trls = trained(SFTTrainer, smollm2, tmp_path, pack={}, **steps)
    options = steps | {"gradient_checkpointing": checkpointing}
    padded = trained(LabelledLossTrainer, smollm2, tmp_path, pack={}, **options)
    packed = trained(PackedTrainer, smollm2, tmp_path, pack={"pack_tokens": 8192}, **options)
    in_small_packs = trained(PackedTrainer, smollm2, tmp_path, pack={"pack_tokens": 200}, **options)
    for ours in (padded, packed, in_small_packs):
        assert logged(ours, "loss") == pytest.approx(logged(trls, "loss"), rel=1e-5)
        torch.testing.assert_close(adapter(ours), adapter(trls), atol=1e-5, rtol=1e-3)
        assert logged(ours, "num_tokens") == logged(trls, "num_tokens")
        assert logged(ours, "mean_token_accuracy") == pytest.approx(logged(trls, "mean_token_accuracy"), abs=0.05)
    assert logged(packed, "num_computed_tokens")[-1] < 0.7 * logged(packed, "num_tokens")[-1]
    assert logged(padded, "num_computed_tokens")[-1] > logged(padded, "num_tokens")[-1]
