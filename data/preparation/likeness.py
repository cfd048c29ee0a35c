"""When two rows are the same, or nearly: what `data.rules.sets` warns of, with every pair compared where it can be."""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz, process

from data.near_duplicates import ALIKE, Pair, alike_pairs, sketch
from data.preparation.entries import Entry
from data.rules.sets import MAX_TEXTS, calls_text, row_text, words

MAX_COMPARED = 10_000
"""Rows of one and the same calls that are compared all with all, in 15 s of one core; more go through MinHash, which
misses a few."""
BLOCK = 500


def row_hashes(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Equal for rows that are rendered alike: ids and the spelling of arguments do not count."""
    return (_hash(row_text(entry.row)) for entry in entries)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def near_pairs(entries: list[Entry]) -> Iterator[Pair]:
    """Rows with the same calls in nearly the same words, by position; of a pair the `later` never comes down again."""
    same_calls = defaultdict(list)
    for position, entry in enumerate(entries):
        same_calls[_hash(calls_text(entry.row))].append(position)
    pairs = [pair for positions in same_calls.values() if len(positions) > 1 for pair in _alike(entries, positions)]
    yield from sorted(pairs, key=lambda pair: (pair.later, pair.first))


def _alike(entries: list[Entry], positions: list[int]) -> Iterator[Pair]:
    if len(positions) > MAX_COMPARED:
        yield from _probably_alike(entries, positions)
        return
    texts = [words(entries[position].row) for position in positions]
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        scores = process.cdist(block, texts[start:], scorer=fuzz.ratio, score_cutoff=100 * ALIKE, dtype=np.float32)
        for first, later in zip(*np.nonzero(np.triu(scores, k=1)), strict=True):
            yield Pair(positions[start + first], positions[start + later], float(scores[first, later]) / 100)


def _probably_alike(entries: list[Entry], positions: list[int]) -> Iterator[Pair]:
    """The same of so many rows that not even their texts are held."""

    @lru_cache(MAX_TEXTS)
    def words_of(place: int) -> str:
        return words(entries[positions[place]].row)

    sketches = array("Q")
    for place in range(len(positions)):
        sketches.extend(sketch("", words_of(place)))
    for pair in alike_pairs(sketches, words_of):
        yield Pair(positions[pair.first], positions[pair.later], pair.alike)
