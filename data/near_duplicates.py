"""Pairs of texts that are nearly alike, found without comparing all with all."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz

ALIKE = 0.92
# MinHash: each band of hashes is equal for two texts with the probability of their shingle overlap to the third power.
# At 0.8 that leaves 1 pair in 300 unfound with 8 bands.
NUM_BANDS, BAND_SIZE = 8, 3
SHINGLE = 5  # letters
MAX_COMPARED = 8  # earlier texts of a bucket: boilerplate rows would cost the square of their number

_MULTIPLIERS = np.random.default_rng(0).integers(1, 2**63, NUM_BANDS * BAND_SIZE, dtype=np.uint64) | np.uint64(1)


class Pair(NamedTuple):
    first: int
    later: int
    alike: float


def near_duplicates(groups: list[str], texts: list[str]) -> Iterator[Pair]:
    """For each text the earliest that was found alike, of the same group; `groups[i]` belongs to `texts[i]`."""
    buckets: dict[tuple[str, int, bytes], list[int]] = {}
    for later, (group, text) in enumerate(zip(groups, texts, strict=True)):
        earlier: set[int] = set()
        for band, key in enumerate(_bands(text)):
            bucket = buckets.setdefault((group, band, key), [])
            earlier.update(bucket[:MAX_COMPARED])
            bucket.append(later)
        for first in sorted(earlier):
            alike = fuzz.ratio(texts[first], text, score_cutoff=100 * ALIKE) / 100
            if alike:
                yield Pair(first, later, alike)
                break


def _bands(text: str) -> Iterator[bytes]:
    shingles = {text[at : at + SHINGLE] for at in range(max(len(text) - SHINGLE + 1, 1))}
    hashes = np.fromiter((zlib.crc32(shingle.encode()) for shingle in shingles), dtype=np.uint64)
    # The upper half of a product is well mixed, the lower is not.
    smallest = ((hashes[:, None] * _MULTIPLIERS) >> np.uint64(32)).min(axis=0)
    return (band.tobytes() for band in smallest.reshape(NUM_BANDS, BAND_SIZE))
