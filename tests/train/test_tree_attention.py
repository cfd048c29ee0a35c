"""Who sees whom, in both ways of attention, against the definition: a token sees its own row up to itself."""

import pytest
import torch
from torch.nn.attention.flex_attention import create_mask, flex_attention

from data.user_error import UserError
from tests.train.tries import random_features
from train.tree_attention import attend, query_blocks, trie_attention, trie_block_mask
from train.trie import Trie, build_trie


def trie_of(seed: int, multiple: int) -> Trie:
    return build_trie([feature["input_ids"] for feature in random_features(seed)], multiple=multiple)


def seen_in_rows(trie: Trie, num_tokens: int) -> torch.Tensor:
    """[queries, keys], from the rows: True where some row holds both, the key not after the query."""
    seen = torch.zeros(num_tokens, num_tokens, dtype=torch.bool)
    for places in map(torch.from_numpy, trie.places):
        seen[places.unsqueeze(1), places.unsqueeze(0)] = True
    return seen.tril()


def real_tokens(trie: Trie) -> torch.Tensor:
    return torch.cat([torch.from_numpy(places) for places in trie.places]).unique()


@pytest.mark.parametrize("seed", range(15))
def test_the_block_mask_lets_a_token_see_its_own_row(seed: int) -> None:
    trie = trie_of(seed, 1)
    num_tokens = len(trie.input_ids) + 7
    mask_mod = trie_block_mask(trie.segments, num_tokens, torch.device("cpu")).mask_mod
    mask = create_mask(mask_mod, 1, 1, num_tokens, num_tokens, device="cpu")[0, 0]
    expected = seen_in_rows(trie, num_tokens)
    expected[-7:, -7:] = torch.eye(7, dtype=torch.bool)  # the padding: each itself, so that no softmax is empty
    assert torch.equal(mask, expected)


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("seed", range(15))
def test_the_blocks_let_a_token_see_its_own_row(seed: int, multiple: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.tree_attention.QUERY_BLOCK", 8)  # so that segments have several
    trie = trie_of(seed, multiple)
    seen = torch.zeros(len(trie.input_ids), len(trie.input_ids), dtype=torch.bool)
    blocks = query_blocks(trie.segments, torch.float32)
    for block in blocks:
        keys = torch.cat([torch.arange(blocks[number].start, blocks[number].end) for number in block.seen])
        seen[block.start : block.end, keys] = block.mask == 0
    real = real_tokens(trie)
    assert torch.equal(seen[real], seen_in_rows(trie, len(trie.input_ids))[real])


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_give_the_same_outputs(seed: int) -> None:
    """FlexAttention uncompiled; on CPU torch has no backward of it."""
    trie = build_trie([feature["input_ids"] for feature in random_features(seed, longest=90)])
    tokens = len(trie.input_ids)
    torch.manual_seed(seed)
    query, key, value = (torch.randn(1, heads, tokens, 16) for heads in (4, 2, 2))
    blocks = query_blocks(trie.segments, torch.float32)
    ours, _ = trie_attention(None, query, key, value, None, scaling=0.3, blocks=blocks)
    mask = trie_block_mask(trie.segments, tokens, torch.device("cpu"))
    flex = flex_attention(query, key, value, block_mask=mask, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(ours, flex.transpose(1, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("own, seen", [(5, 5), (5, 12)])
def test_attention_is_that_of_torch(own: int, seen: int) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(6, own, 8), torch.randn(2, seen, 8), torch.randn(2, seen, 8)
    may_see = torch.ones(own, seen, dtype=torch.bool).tril(seen - own)
    repeated = [tensor.repeat_interleave(3, dim=0) for tensor in (key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(query, *repeated, attn_mask=may_see, scale=0.3)
    mask = torch.zeros(own, seen).masked_fill(~may_see, float("-inf"))
    torch.testing.assert_close(attend(query, key, value, mask, 0.3), expected)


def test_attention_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(UserError, match="no sliding window"):
        trie_attention(None, *[torch.zeros(1, 1, 2, 4)] * 3, None, scaling=1.0, blocks=[], sliding_window=8)
