from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig

from data.reading import read_rows
from data.render import IGNORE, render
from data.template import load_template
from data.user_error import UserError
from tests.conftest import ROOT
from train.shared_prefix import (
    SharedPrefixCollator,
    StepSampler,
    common_prefix_length,
    labelled_logits,
    require_shareable,
)

ROWS = ROOT / "data" / "samples" / "taskmaster_coffee" / "train.jsonl"


def rows(smollm2: Path) -> list[dict[str, list[int]]]:
    tokenizer, template = AutoTokenizer.from_pretrained(smollm2), load_template("chatml")
    rendered = [render(numbered.row, tokenizer, template) for numbered in read_rows(ROWS)[:3]]
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rendered]


def adapted(smollm2: Path) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))


def plain_loss(model: Any, features: list[dict[str, list[int]]]) -> torch.Tensor:
    """Each row alone, whole, as if nothing were shared: the definition that sharing must not change."""
    losses, count = [], 0
    for feature in features:
        logits = model(input_ids=torch.tensor([feature["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(feature["labels"][1:])
        losses.append(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum"))
        count += int((labels != IGNORE).sum())
    return torch.stack(losses).sum() / count


def gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_loss_and_gradients_are_those_of_rows_trained_alone(smollm2: Path) -> None:
    model, features = adapted(smollm2), rows(smollm2)
    batch = SharedPrefixCollator(pad_token_id=0)(features)
    assert batch["prefix_ids"].shape[1] > 400  # the tool list is in it
    logits, labels = labelled_logits(model.get_base_model(), batch)
    shared = torch.nn.functional.cross_entropy(logits, labels)
    plain = plain_loss(model, features)
    assert shared.item() == pytest.approx(plain.item(), abs=1e-5)
    torch.testing.assert_close(gradients(model, shared), gradients(model, plain), atol=1e-6, rtol=1e-4)


def test_the_prefix_stops_before_the_token_that_predicts_the_first_label() -> None:
    features = [{"input_ids": [1, 2, 3, 4], "labels": [IGNORE, IGNORE, 3, 4]}] * 2
    batch = SharedPrefixCollator(pad_token_id=0)(features)
    assert batch["prefix_ids"].tolist() == [[1]]
    assert batch["input_ids"][:, :3].tolist() == [[2, 3, 4]] * 2
    assert batch["labels"][:, :3].tolist() == [[IGNORE, 3, 4]] * 2
    assert batch["position_ids"][0, :3].tolist() == [1, 2, 3]
    assert batch["attention_mask"][0].tolist() == [1] * 4 + [0] * 61


def test_rows_with_nothing_in_common_share_nothing() -> None:
    assert common_prefix_length([[1, 2], [2, 2]]) == 0
    assert common_prefix_length([[1, 2, 3], [1, 2], [1, 2, 4]]) == 2


def test_a_step_has_the_rows_of_a_random_order_sorted_by_length() -> None:
    sampler = StepSampler(lengths=[50, 10, 40, 20, 30], rows_per_step=2, seed=7)
    order = list(sampler)
    assert sorted(order) == [0, 1, 2, 3, 4]
    random = torch.randperm(5, generator=torch.Generator().manual_seed(7)).tolist()
    assert [set(order[i : i + 2]) for i in (0, 2, 4)] == [set(random[i : i + 2]) for i in (0, 2, 4)]
    lengths = [sampler.lengths[row] for row in order]
    assert lengths[0] < lengths[1] and lengths[2] < lengths[3]
    sampler.set_epoch(1)
    assert list(sampler) != order


def test_gradient_checkpointing_and_several_processes_are_refused(tmp_path: Path) -> None:
    checkpointing = SFTConfig(output_dir=str(tmp_path), gradient_checkpointing=True, use_cpu=True)
    with pytest.raises(UserError, match=r"sft\.gradient_checkpointing exclude"):
        require_shareable(checkpointing, num_processes=1)
    with pytest.raises(UserError, match="one process"):
        require_shareable(SFTConfig(output_dir=str(tmp_path), gradient_checkpointing=False, use_cpu=True), 2)
