"""When two rows are the same, or nearly: what `data.rules.sets` warns of, with every pair compared where it can be."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from rapidfuzz import fuzz, process

from data.near_duplicates import ALIKE, Pair, SketchedTexts, sketch
from data.preparation.entries import Entry
from data.preparation.groups import Groups
from data.rules.sets import words
from data.unfinished import NOTHING_KEPT, Unfinished

MAX_COMPARED, MAX_LETTERS = 10_000, 2_000_000
"""Rows of one and the same calls, and letters of them all, that are compared all with all, in 15 s of one core; more go
through MinHash, which misses a few. The time grows with the square of either."""
BLOCK = 500


def near_pairs(
    entries: list[Entry], unfinished: Unfinished = NOTHING_KEPT, stage: str = "", num_firsts: int | None = None
) -> Iterator[Pair]:
    """Rows with the same calls in nearly the same words, by position; of a pair the `later` never comes down again.

    With `num_firsts` the `first` of a pair need be none but one of so many entries at the start.
    """
    found = unfinished.results(f"pairs-{stage}", lambda done: islice(_sorted_pairs(entries, num_firsts), done, None))
    return (Pair(*pair) for pair in found)


def _sorted_pairs(entries: list[Entry], num_firsts: int | None) -> Iterator[list[Any]]:
    same_calls = defaultdict(list)
    for position, entry in enumerate(entries):
        same_calls[entry.calls].append(position)
    end = len(entries) if num_firsts is None else num_firsts
    groups = (positions for positions in same_calls.values() if len(positions) > 1 and positions[0] < end)
    pairs = [pair for positions in groups for pair in _alike(entries, positions, end)]
    return ([*pair] for pair in sorted(pairs, key=lambda pair: (pair.later, pair.first)))


def _alike(entries: list[Entry], positions: list[int], end: int) -> Iterator[Pair]:
    """Pairs of `positions`, those alone where need be whose first one is below `end`."""
    texts: list[str] = []
    num_letters = 0
    for position in positions:
        if len(positions) > MAX_COMPARED or num_letters > MAX_LETTERS:
            return _probably_alike(entries, positions)
        texts.append(words(entries[position].row))
        num_letters += len(texts[-1])
    return _surely_alike(texts, positions, bisect_left(positions, end))


def _surely_alike(texts: list[str], positions: list[int], num_firsts: int) -> Iterator[Pair]:
    """All pairs but those whose first is a copy of another text and tied to the later one by pairs before: who drops
    copies, or ties pairs together, needs no more, and n texts that are all alike have n * n / 2 pairs."""
    groups, copies = Groups(len(texts)), set()
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        firsts = texts[: min(start + len(block), num_firsts)]
        scores = process.cdist(block, firsts, scorer=fuzz.ratio, score_cutoff=100 * ALIKE, dtype=np.float32, workers=-1)
        for row, first in np.argwhere(np.tril(scores, k=start - 1)).tolist():
            later = start + row
            if first in copies and groups.find(first) == groups.find(later):
                continue
            if first not in copies:
                copies.add(later)
            groups.join(first, later)
            yield Pair(positions[first], positions[later], float(scores[row, first]) / 100)


def _probably_alike(entries: list[Entry], positions: list[int]) -> Iterator[Pair]:
    """The same of so many rows that not even their texts are held."""
    texts = SketchedTexts()
    for position in positions:
        text = words(entries[position].row)
        texts.append(sketch("", text), text)
    for pair in texts.alike_pairs():
        yield Pair(positions[pair.first], positions[pair.later], pair.alike)
