"""When two rows are the same, or nearly: what `data.rules.sets` warns of, with every pair compared where it can be."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from rapidfuzz import fuzz, process

from data.near_duplicates import ALIKE, Pair, near_duplicates
from data.preparation.entries import Entry
from data.rules.sets import calls_text, row_text, words

MAX_COMPARED = 10_000
"""Rows of one and the same calls that are compared all with all, in 15 s of one core; more go through MinHash, which
misses a few."""
BLOCK = 500


def row_texts(entries: list[Entry]) -> list[str]:
    """Equal for rows that are rendered alike: ids and the spelling of arguments do not count."""
    return [row_text(entry.numbered) for entry in entries]


def near_pairs(entries: list[Entry]) -> Iterator[Pair]:
    """Rows with the same calls in nearly the same words, by position; of a pair the `later` never comes down again."""
    same_calls = defaultdict(list)
    for position, entry in enumerate(entries):
        same_calls[calls_text(entry.numbered)].append(position)
    pairs = [pair for positions in same_calls.values() if len(positions) > 1 for pair in _alike(entries, positions)]
    yield from sorted(pairs, key=lambda pair: (pair.later, pair.first))


def _alike(entries: list[Entry], positions: list[int]) -> Iterator[Pair]:
    texts = [words(entries[position].numbered) for position in positions]
    if len(texts) > MAX_COMPARED:
        for pair in near_duplicates([""] * len(texts), texts):
            yield Pair(positions[pair.first], positions[pair.later], pair.alike)
        return
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        scores = process.cdist(block, texts[start:], scorer=fuzz.ratio, score_cutoff=100 * ALIKE, dtype=np.float32)
        for first, later in zip(*np.nonzero(np.triu(scores, k=1)), strict=True):
            yield Pair(positions[start + first], positions[start + later], float(scores[first, later]) / 100)
