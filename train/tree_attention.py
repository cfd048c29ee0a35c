"""Attention over a trie of rows: a token sees the segments that lead to its own, and its own up to itself.

On CPU each segment is attended to in two products and a softmax, a block of queries at a time, over the keys of its
path: torch's fused CPU kernel takes twice as long, its backward most of it, and a dense mask would make each row pay
for the whole pack. On CUDA it is FlexAttention (https://arxiv.org/abs/2412.05496) with a block mask, through
transformers' own integration.
"""

from typing import Any, NamedTuple

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import AttentionInterface

from data.user_error import UserError
from train.trie import Segment

CPU_ATTENTION = "trie_blocks"
QUERY_BLOCK = 256
"""Queries of a block. Within a long segment the first blocks then skip the keys after them: for 1,500 shared and
8 x 100 own tokens attention takes 0.57 of the time of one block a segment; 128 and 512 are slower."""


class QueryBlock(NamedTuple):
    """Queries from `start` to `end`, whose keys are those of whole blocks."""

    start: int
    end: int
    seen: list[int]
    """Numbers of the blocks that they see: the path's, then their own segment's up to this one."""
    mask: torch.Tensor
    """[queries, keys], 0 or minus infinity: the last keys are the queries' own, and each sees those up to itself."""


def query_blocks(segments: list[Segment], dtype: torch.dtype) -> list[QueryBlock]:
    """The blocks of a pack, in its order: made once, used by every layer."""
    blocks: list[QueryBlock] = []
    paths: list[list[int]] = []  # of each segment, the blocks from the root to its end
    for segment in segments:
        seen = paths[segment.parent] if segment.parent >= 0 else []
        for start in range(segment.start, segment.end, QUERY_BLOCK):
            end = min(start + QUERY_BLOCK, segment.end)
            num_keys = segment.position + end - segment.start
            hidden = torch.full((end - start, num_keys), float("-inf"), dtype=dtype)
            mask = hidden.triu(num_keys - (end - start) + 1)
            seen = [*seen, len(blocks)]
            blocks.append(QueryBlock(start, end, seen, mask))
        paths.append(seen)
    return blocks


def trie_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    blocks: list[QueryBlock],
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """`query` [1, heads, T, head size], `key` and `value` [1, key heads, T, head size] -> [1, T, heads, head size].

    Raises UserError for the kinds of attention that it does not know.
    """
    if sliding_window or softcap:
        raise UserError("packing knows no sliding window and no softcap", where="recipe", fix="set pack_tokens=0")
    # Split once: were each block's keys a slice of all, the way back would add up as many tensors of the whole length.
    lengths = [block.end - block.start for block in blocks]
    queries, keys, values = (torch.split(tensor[0], lengths, dim=1) for tensor in (query, key, value))
    parts = []
    for block, q in zip(blocks, queries, strict=True):
        k, v = (torch.cat([pieces[number] for number in block.seen], dim=1) for pieces in (keys, values))
        parts.append(attend(q, k, v, block.mask, scaling))
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0), None


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scaling: float
) -> torch.Tensor:
    """[heads, N, size] on [key heads, M, size] under `mask` [N, M] -> [heads, N, size].

    The query heads of one key head are rows of one product, so no key is repeated.
    """
    (heads, own, size), key_heads = query.shape, key.shape[0]
    folded = query.reshape(key_heads, heads // key_heads * own, size)
    scores = torch.baddbmm(mask.repeat(heads // key_heads, 1), folded, key.transpose(1, 2), alpha=scaling)
    return (torch.softmax(scores, dim=-1) @ value).reshape(heads, own, size)


AttentionInterface.register(CPU_ATTENTION, trie_attention)


def trie_block_mask(segments: list[Segment], num_tokens: int, device: torch.device) -> BlockMask:
    """FlexAttention's mask of a pack padded to `num_tokens`; a token of the padding sees only itself.

    Depth-first order makes the whole trie one comparison: whoever may see a key stands in its segment's subtree.
    """
    ends = torch.arange(1, num_tokens + 1, device=device)
    for segment in segments:
        ends[segment.start : segment.end] = segment.subtree_end

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (query < ends[key])

    return create_block_mask(sees, None, None, num_tokens, num_tokens, device=device)
