from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.reading import read_rows
from data.render import IGNORE, render
from data.template import load_template
from data.user_error import UserError
from tests.conftest import ROOT
from train.shared_prefix import (
    ATTENTION,
    OWN_STEP,
    SharedPrefixCollator,
    StepSampler,
    attend,
    common_prefix_length,
    labelled_logits,
    require_one_process,
    shared_prefix_attention,
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


def shared_loss(model: Any, features: list[dict[str, list[int]]]) -> torch.Tensor:
    batch = SharedPrefixCollator(pad_token_id=0)(features)
    own = sum(batch["own_lengths"].tolist())
    assert batch["input_ids"].shape[1] - own > 400  # the tool list is shared
    body = model.get_base_model()
    attention = body.config._attn_implementation
    body.set_attn_implementation(ATTENTION)
    logits, labels = labelled_logits(body, batch)
    body.set_attn_implementation(attention)
    return torch.nn.functional.cross_entropy(logits, labels)


def test_loss_and_gradients_are_those_of_rows_trained_alone(smollm2: Path) -> None:
    model, features = adapted(smollm2), rows(smollm2)
    shared, plain = shared_loss(model, features), plain_loss(model, features)
    assert shared.item() == pytest.approx(plain.item(), abs=1e-5)
    torch.testing.assert_close(gradients(model, shared), gradients(model, plain), atol=1e-6, rtol=1e-4)


def test_rows_do_not_see_one_another(smollm2: Path) -> None:
    """One row's loss is the same whatever rows stand before it in the batch."""
    model, (first, second, third) = adapted(smollm2), rows(smollm2)
    body = model.get_base_model()
    body.set_attn_implementation(ATTENTION)

    def last_row_logits(before: dict[str, list[int]]) -> torch.Tensor:
        batch = SharedPrefixCollator(pad_token_id=0)([before, third])
        with torch.no_grad():
            return labelled_logits(body, batch)[0][-sum(label != IGNORE for label in third["labels"]) :]

    torch.testing.assert_close(last_row_logits(first), last_row_logits(second), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("own, seen", [(5, 5), (5, 12)])
def test_both_ways_of_attention_are_that_of_torch(own: int, seen: int) -> None:
    """The one for CPU, and the one for GPU, which CPU can run as well, against SDPA with repeated key heads."""
    torch.manual_seed(0)
    query, key, value = torch.randn(6, own, 8), torch.randn(2, seen, 8), torch.randn(2, seen, 8)
    mask = torch.ones(own, seen, dtype=torch.bool).tril(seen - own)
    repeated = [tensor.repeat_interleave(3, dim=0) for tensor in (key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(query, *repeated, attn_mask=mask, scale=0.3)
    for fused in (False, True):
        torch.testing.assert_close(attend(query, key, value, 0.3, fused=fused), expected)


def test_the_prefix_stops_before_the_token_that_predicts_the_first_label() -> None:
    features = [
        {"input_ids": [1, 2, 3, 4], "labels": [IGNORE, IGNORE, 3, 4]},
        {"input_ids": [1, 2, 3], "labels": [IGNORE, IGNORE, 3]},
    ]
    batch = SharedPrefixCollator(pad_token_id=9)(features)
    assert batch["own_lengths"].tolist() == [OWN_STEP, OWN_STEP]
    assert batch["input_ids"][0].tolist() == [1, 2, 3, 4] + [9] * (OWN_STEP - 3) + [2, 3] + [9] * (OWN_STEP - 2)
    assert batch["labels"][0, :4].tolist() == [IGNORE, IGNORE, 3, 4]
    assert batch["labels"][0, 1 + OWN_STEP :][:2].tolist() == [IGNORE, 3]
    assert batch["position_ids"][0].tolist() == [0, *range(1, 1 + OWN_STEP), *range(1, 1 + OWN_STEP)]


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


def test_several_processes_are_refused() -> None:
    with pytest.raises(UserError, match="one process"):
        require_one_process(2)


def test_attention_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(UserError, match="no sliding window"):
        shared_prefix_attention(
            None, *[torch.zeros(1, 1, 2, 4)] * 3, None, scaling=1.0, own_lengths=torch.tensor([1]), sliding_window=8
        )
