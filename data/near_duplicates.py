"""Pairs of texts that are nearly alike, found without comparing all with all."""

import hashlib
import zlib
from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
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
    sketches = array("Q")
    for group, text in zip(groups, texts, strict=True):
        sketches.extend(sketch(group, text))
    return alike_pairs(sketches, texts.__getitem__)


def sketch(group: str, text: str) -> list[int]:
    """NUM_BANDS hashes of 64 bits: texts of one group that are nearly alike have one of them in common."""
    shingles = {text[at : at + SHINGLE] for at in range(max(len(text) - SHINGLE + 1, 1))}
    hashes = np.fromiter((zlib.crc32(shingle.encode()) for shingle in shingles), dtype=np.uint64)
    # The upper half of a product is well mixed, the lower is not.
    smallest = ((hashes[:, None] * _MULTIPLIERS) >> np.uint64(32)).min(axis=0)
    return [hash64(group.encode() + band.tobytes()) for band in smallest.reshape(NUM_BANDS, BAND_SIZE)]


def hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def alike_pairs(sketches: "array[int]", text_of: Callable[[int], str]) -> Iterator[Pair]:
    """`near_duplicates` of texts that are not held: `sketches` are those of all texts, one after the other."""
    for later, earlier in _neighbours(np.asarray(sketches, np.uint64).reshape(-1, NUM_BANDS)):
        text = text_of(later)
        for first in earlier:
            alike = fuzz.ratio(text_of(first), text, score_cutoff=100 * ALIKE) / 100
            if alike:
                yield Pair(first, later, alike)
                break


def _neighbours(sketches: NDArray[np.uint64]) -> Iterator[tuple[int, list[int]]]:
    """For each text the earlier ones that share a band with it, of each band the first MAX_COMPARED."""
    places = np.arange(len(sketches), dtype=np.int64)
    bands = []
    for band in sketches.T:
        order = np.argsort(band, kind="stable")
        is_first = np.r_[True, band[order][1:] != band[order][:-1]][: len(order)]
        start = np.empty_like(places)
        start[order] = np.maximum.accumulate(np.where(is_first, places, 0))
        rank = np.empty_like(places)
        rank[order] = places
        bands.append((order, start, np.minimum(rank - start, MAX_COMPARED)))
    has_earlier = np.any([num_earlier > 0 for _, _, num_earlier in bands], axis=0)
    for later in np.flatnonzero(has_earlier).tolist():
        earlier = {
            first for order, start, num_earlier in bands
            for first in order[start[later] : start[later] + num_earlier[later]].tolist()
        }  # fmt: skip
        yield later, sorted(earlier)
