"""Pairs of texts that are nearly alike, found without comparing all with all."""

import hashlib
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

BLOCK = 4096  # shingles that are hashed at once: a long text would fill the memory

_MIXER = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.random.default_rng(0).integers(1, 2**63, NUM_BANDS * BAND_SIZE, dtype=np.uint64) | np.uint64(1)


class Pair(NamedTuple):
    first: int
    later: int
    alike: float


def near_duplicates(groups: list[str], texts: list[str]) -> Iterator[Pair]:
    """For each text the earliest that was found alike, of the same group; `groups[i]` belongs to `texts[i]`."""
    sketches = [sketch(group, text) for group, text in zip(groups, texts, strict=True)]
    return alike_pairs(np.array(sketches, np.uint32), texts.__getitem__)


def sketch(group: str, text: str) -> list[int]:
    """NUM_BANDS hashes of 32 bits: texts of one group that are nearly alike have one of them in common."""
    hashes = _shingle_hashes(text)
    blocks = (hashes[start : start + BLOCK] for start in range(0, len(hashes), BLOCK))
    # The upper half of a product is well mixed, the lower is not.
    smallest = np.min([((block[:, None] * _MULTIPLIERS) >> np.uint64(32)).min(axis=0) for block in blocks], axis=0)
    return [hash64(group.encode() + band.tobytes()) >> 32 for band in smallest.reshape(NUM_BANDS, BAND_SIZE)]


def _shingle_hashes(text: str) -> NDArray[np.uint64]:
    """A hash of each SHINGLE letters that follow each other, of a shorter text one of it all."""
    letters = np.frombuffer(text.ljust(SHINGLE, "\0").encode("utf-32-le"), np.uint32).astype(np.uint64)
    num_shingles = len(letters) - SHINGLE + 1
    hashes = np.zeros(num_shingles, np.uint64)
    for at in range(SHINGLE):
        hashes = hashes * _MIXER + letters[at : at + num_shingles]
    hashes *= _MIXER
    mixed: NDArray[np.uint64] = hashes ^ (hashes >> np.uint64(32))
    return mixed


def hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def alike_pairs(sketches: NDArray[np.uint32], text_of: Callable[[int], str]) -> Iterator[Pair]:
    """`near_duplicates` of texts that are not held: `sketches` are those of all texts, one after the other."""
    for later, earlier in _neighbours(sketches.reshape(-1, NUM_BANDS)):
        text = text_of(later)
        for first in earlier:
            alike = fuzz.ratio(text_of(first), text, score_cutoff=100 * ALIKE) / 100
            if alike:
                yield Pair(first, later, alike)
                break


class _Band(NamedTuple):
    """The texts that share one hash with others; of most sets that is a small part."""

    texts: NDArray[np.int32]
    """Bucket by bucket, in each the earliest first."""
    later: NDArray[np.int32]
    """Those that come after another of their bucket, in order; of each the place in `texts` where its bucket starts,
    and how many stand before it there."""
    start: NDArray[np.int32]
    num_earlier: NDArray[np.uint8]


def _neighbours(sketches: NDArray[np.uint32]) -> Iterator[tuple[int, list[int]]]:
    """For each text the earlier ones that share a band with it, of each band the first MAX_COMPARED."""
    bands = [_band(hashes) for hashes in sketches.T]
    has_earlier = np.zeros(len(sketches), bool)
    for band in bands:
        has_earlier[band.later] = True
    next_of = [0] * len(bands)
    for later in map(int, np.flatnonzero(has_earlier)):  # a list of a million Python numbers takes 40 MB
        earlier: set[int] = set()
        for number, band in enumerate(bands):
            at = next_of[number]
            if at < len(band.later) and band.later[at] == later:
                next_of[number] += 1
                start = int(band.start[at])
                earlier.update(band.texts[start : start + int(band.num_earlier[at])].tolist())
        yield later, sorted(earlier)


def _band(hashes: NDArray[np.uint32]) -> _Band:
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    ranked = hashes[order]
    is_first = np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)]
    is_shared = ~is_first | np.r_[~is_first[1:], False][: len(ranked)]
    texts, is_first = order[is_shared], is_first[is_shared]
    places = np.arange(len(texts), dtype=np.int32)
    starts = np.maximum.accumulate(np.where(is_first, places, np.int32(0)))
    in_order = np.argsort(texts[~is_first])
    num_earlier = np.minimum((places - starts)[~is_first], MAX_COMPARED).astype(np.uint8)
    return _Band(texts, texts[~is_first][in_order], starts[~is_first][in_order], num_earlier[in_order])
