"""Packing changes where tokens stand, and nothing else: loss and gradients are those of rows trained one by one."""

import random
from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from data.render import IGNORE
from tests.train.tries import Feature, adapted_network, adapter_gradients, random_features, row_by_row_loss
from train.labelled_loss import add_labelled_loss
from train.packing import PackCollator, pack_rows, shared_lengths
from train.tree_attention import CPU_ATTENTION, query_blocks, trie_block_mask
from train.trie import build_trie, common_length


def packed_loss(model: Any, features: list[Feature], budget: int, attention: str = CPU_ATTENTION) -> torch.Tensor:
    """As PackedTrainer computes it, summed over the packs. CUDA's way is `flex_attention`; since torch has no backward
    of that on CPU, `sdpa` stands in for it with the same mask, written out."""
    body = model.get_base_model()
    add_labelled_loss(body)
    body.set_attn_implementation(attention)
    losses = []
    for pack in PackCollator(0, budget, on_cpu=attention == CPU_ATTENTION)(features)["packs"]:
        inputs = {key: pack[key] for key in ("input_ids", "position_ids", "predictors", "targets")}
        num_tokens = pack["input_ids"].shape[1]
        if attention == CPU_ATTENTION:
            inputs["blocks"] = query_blocks(pack["segments"], body.dtype)
        else:
            mask = trie_block_mask(pack["segments"], num_tokens, body.device)
            dense = create_mask(mask.mask_mod, 1, 1, num_tokens, num_tokens, device="cpu")
            inputs["attention_mask"] = mask if attention == "flex_attention" else dense
        losses.append(model(**inputs).loss)
    body.set_attn_implementation("sdpa")
    return torch.stack(losses).sum()


def relative_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp(min=1e-12))


@pytest.mark.parametrize("seed", range(15))
def test_loss_and_gradients_are_those_of_rows_trained_one_by_one(seed: int) -> None:
    features, model = random_features(seed), adapted_network(seed)
    budget = random.Random(seed).choice([1, 30, 100, 1000])
    packed, plain = packed_loss(model, features, budget), row_by_row_loss(model, features)
    assert packed.item() == pytest.approx(plain.item(), rel=1e-5)
    ours, rows = adapter_gradients(model, packed), adapter_gradients(model, plain)
    assert relative_difference(ours, rows) < 1e-5


@pytest.mark.parametrize("seed", range(6))
def test_the_mask_of_cuda_gives_the_same_loss_and_gradients(seed: int) -> None:
    features, model = random_features(seed), adapted_network(seed)
    packed, plain = packed_loss(model, features, 256, "sdpa"), row_by_row_loss(model, features)
    assert packed.item() == pytest.approx(plain.item(), rel=1e-5)
    assert relative_difference(adapter_gradients(model, packed), adapter_gradients(model, plain)) < 1e-5


def test_flex_attention_gives_the_same_loss() -> None:
    """Through transformers' own integration, not compiled: not run on CUDA."""
    features, model = random_features(3), adapted_network(3)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        packed = packed_loss(model, features, 1024, "flex_attention")
        assert packed.item() == pytest.approx(row_by_row_loss(model, features).item(), rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_in_bf16_packing_costs_no_more_than_rounding(seed: int) -> None:
    """The packed gradients are as near to those of fp32 as the row-by-row ones are, within a factor of 1.5."""
    features = random_features(seed)
    exact, half = adapted_network(seed), adapted_network(seed, torch.bfloat16)
    half.load_state_dict(exact.state_dict())
    exact.load_state_dict(half.state_dict())  # the same, rounded, weights in both
    wanted = adapter_gradients(exact, row_by_row_loss(exact, features))
    rows = adapter_gradients(half, row_by_row_loss(half, features)).float()
    packed = adapter_gradients(half, packed_loss(half, features, 1000)).float()
    assert relative_difference(packed, wanted) <= 1.5 * relative_difference(rows, wanted) + 1e-3


@pytest.mark.parametrize("seed", range(15))
def test_every_row_is_in_one_pack_of_at_most_the_budget(seed: int) -> None:
    rows = [feature["input_ids"] for feature in random_features(seed)]
    budget = random.Random(seed).choice([20, 50, 120])
    packs = pack_rows(rows, budget, budget)
    assert sorted(number for pack in packs for number in pack) == list(range(len(rows)))
    for pack in packs:
        held = len(build_trie([rows[number] for number in pack]).input_ids)
        assert held <= budget or len(pack) == 1 or held == max(len(rows[number]) for number in pack)
    assert packs == pack_rows(rows, budget, budget)


def test_rows_go_where_they_share_most_and_then_where_they_fit_best() -> None:
    tools, others = list(range(100, 150)), list(range(200, 240))
    rows = [[*tools, 1], [*others, 2], [*tools, 3, 3], [*others, 4, 4, 4], [5] * 9, [6] * 20]
    assert pack_rows(rows, 65, 65) == [[0, 2, 4], [1, 3, 5]]


def test_beyond_a_length_a_pack_takes_only_rows_that_share_with_it() -> None:
    tools = list(range(100, 150))
    rows = [[*tools, *range(row, row + 30)] for row in (1000, 2000, 3000)] + [[row] * 60 for row in (1, 2)]
    assert pack_rows(rows, 1000, 100) == [[0, 1, 2], [3], [4]]
    assert pack_rows(rows, 1000, 120) == [[0, 1, 2], [3, 4]]
    assert pack_rows(rows, 1000, 1000) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("seed", range(8))
def test_shared_lengths_are_those_of_every_pair(seed: int) -> None:
    rows = [feature["input_ids"] for feature in random_features(seed)]
    assert shared_lengths(rows).tolist() == [[common_length(one, other) for other in rows] for one in rows]


def test_a_token_that_two_rows_train_counts_twice() -> None:
    """And a row that trains the same token as context, of weight 0, not at all."""
    one = {"input_ids": [1, 2, 3, 4], "labels": [IGNORE, IGNORE, 3, 4]}
    context = {"input_ids": [1, 2, 3, 5], "labels": [IGNORE, IGNORE, IGNORE, 5]}
    batch = PackCollator(0, 100, on_cpu=False)([one, one, context])
    [pack] = batch["packs"]
    assert pack["input_ids"].tolist()[0][:5] == [1, 2, 3, 4, 5]
    assert pack["predictors"].tolist() == [1, 2, 1, 2, 2]
    assert pack["targets"].tolist() == [3, 4, 3, 4, 5]
    assert batch["shift_labels"].numel() == 5
