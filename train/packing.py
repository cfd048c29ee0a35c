"""Packs: the rows of an optimiser step laid out as tries, so that what they share is computed once.

Rows of one tool set begin with the same tool list, which is most of their tokens. A pack is one sequence: each shared
segment once, then what only single rows have, position ids going on from the segment before; `train.tree_attention`
lets a token see its own row and nothing else. Rows that begin differently share nothing and are packed side by side.
So every token sees exactly what it saw in its row, and loss and gradients are those of rows trained one by one
(tests/train/test_packing.py).

The rows of a step are the sampler's, in its order, as many as without packing; only then are they packed, so a step's
gradient, a sum over its rows, does not depend on how they are laid out.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from data.render import IGNORE
from train.trie import Segment, Tokens, build_trie, common_length

Pack = dict[str, Any]
CPU_MULTIPLE = 16
"""On CPU a segment's length is a multiple of this: kernels are compiled anew for every shape."""
CPU_UNSHARED = 1024
"""On CPU a pack grows beyond this many tokens only by rows that share with it: longer ones are no quicker there, and
what is kept for the way back is as large as the largest pack."""
CUDA_LENGTHS = 8
"""On CUDA a pack is padded to one of this many lengths, the budget's parts, for the same reason."""


class PackCollator:
    """Rows of a step -> `packs`, and `labels` [1, N], the trained tokens of all rows, by which TRL weighs the loss.

    A pack holds `input_ids` and `position_ids` [1, T], its `segments`, and for each trained token of each row, once a
    row, its id in `targets` [N] and in `predictors` [N] the place of the token that it is predicted from.
    """

    def __init__(self, pad_token_id: int, pack_tokens: int, *, on_cpu: bool) -> None:
        self.pad_token_id = pad_token_id
        self.pack_tokens = pack_tokens
        self.on_cpu = on_cpu

    def __call__(self, features: list[dict[str, list[int]]]) -> dict[str, Any]:
        unshared = min(CPU_UNSHARED, self.pack_tokens) if self.on_cpu else self.pack_tokens
        numbers = pack_rows([feature["input_ids"] for feature in features], self.pack_tokens, unshared)
        packs = [self.pack([features[number] for number in pack]) for pack in numbers]
        labels = torch.cat([pack["targets"] for pack in packs]).unsqueeze(0)
        # Trainer counts `shift_labels` as they are, and `labels`, which must be there too, without the first.
        return {"packs": packs, "labels": labels, "shift_labels": labels}

    def pack(self, features: list[dict[str, list[int]]]) -> Pack:
        rows = [feature["input_ids"] for feature in features]
        trie = build_trie(rows, multiple=CPU_MULTIPLE if self.on_cpu else 1, pad_token_id=self.pad_token_id)
        padding = 0 if self.on_cpu else -len(trie.input_ids) % max(1, self.pack_tokens // CUDA_LENGTHS)
        predictors, targets = [], []
        for feature, places in zip(features, trie.places, strict=True):
            labels = np.array(feature["labels"])
            trained = np.flatnonzero(labels[1:] != IGNORE)
            predictors.append(places[trained])
            targets.append(labels[trained + 1])
        return {
            "input_ids": torch.tensor([trie.input_ids + [self.pad_token_id] * padding]),
            "position_ids": torch.tensor([_positions(trie.segments) + [0] * padding]),
            "segments": trie.segments,
            "predictors": torch.from_numpy(np.concatenate(predictors)),
            "targets": torch.from_numpy(np.concatenate(targets)),
            "num_row_tokens": sum(map(len, rows)),
        }


def _positions(segments: list[Segment]) -> list[int]:
    """[0, 1, ..., T-1] for each row, along its path."""
    return [
        position
        for segment in segments
        for position in range(segment.position, segment.position + segment.end - segment.start)
    ]


def pack_rows(rows: list[Tokens], budget: int, unshared: int) -> list[list[int]]:
    """Row numbers of each pack: best fit, the longest rows first, into packs of at most `budget` tokens.

    A row goes where it adds the fewest tokens, and of such packs into the fullest; into one that it makes longer than
    `unshared` only if a quarter of it is there. One that is longer than the budget has a pack of its own.
    """
    shared = shared_lengths(rows)
    packs: list[list[int]] = []
    sizes: list[int] = []
    for row in sorted(range(len(rows)), key=lambda number: (-len(rows[number]), number)):
        added = [len(rows[row]) - int(shared[row, pack].max()) for pack in packs]
        limits = [budget if more <= 0.75 * len(rows[row]) else unshared for more in added]
        fitting = [number for number in range(len(packs)) if sizes[number] + added[number] <= limits[number]]
        if fitting:
            best = min(fitting, key=lambda number: (added[number], -sizes[number]))
            packs[best].append(row)
            sizes[best] += added[best]
        else:
            packs.append([row])
            sizes.append(len(rows[row]))
    return [sorted(pack) for pack in packs]


def shared_lengths(rows: list[Tokens]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """[rows, rows]: how many tokens two rows share from their start. Sorted rows share the least of those between."""
    order = sorted(range(len(rows)), key=lambda row: rows[row])
    with_next = [common_length(rows[one], rows[other]) for one, other in pairwise(order)]
    shared = np.zeros((len(rows), len(rows)), dtype=np.int64)
    for rank, row in enumerate(order):
        shared[row, row] = len(rows[row])
        later = order[rank + 1 :]
        shared[row, later] = shared[later, row] = np.minimum.accumulate(with_next[rank:])
    return shared
