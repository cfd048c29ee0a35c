"""Pairs of texts that are nearly alike, found without comparing all with all."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from data.stored_texts import StoredTexts
from data.temporary_database import TemporaryDatabase

ALIKE = 0.92
# MinHash: each band of hashes is equal for two texts with the probability of their shingle overlap to the third power.
# At 0.8 that leaves 1 pair in 300 unfound with 8 bands.
NUM_BANDS, BAND_SIZE = 8, 3
SHINGLE = 5  # letters
MAX_COMPARED = 8  # earlier texts of a bucket: boilerplate rows would cost the square of their number

BLOCK = 4096  # shingles that are hashed at once: a long text would fill the memory

_INSERT_SKETCH = f"INSERT INTO sketches VALUES ({', '.join('?' * (1 + NUM_BANDS))})"
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.random.default_rng(0).integers(1, 2**63, NUM_BANDS * BAND_SIZE, dtype=np.uint64) | np.uint64(1)


class Pair(NamedTuple):
    first: int
    later: int
    alike: float


class SketchedTexts:
    """Texts among which near copies are looked for. They and their sketches stay on disk: memory does not grow."""

    def __init__(self) -> None:
        bands = ", ".join(f"band{number} INTEGER" for number in range(NUM_BANDS))
        self._texts = StoredTexts()
        self._database = TemporaryDatabase(
            f"CREATE TABLE sketches(place INTEGER PRIMARY KEY, {bands})",
            "CREATE TABLE neighbours(later INTEGER, earlier TEXT)",
        )

    def append(self, sketch: list[int], text: str) -> None:
        """`sketch`: of the text and its group. Raises UserError for a full disk, as all methods do."""
        self._database.run(_INSERT_SKETCH, self._texts.append(text), *sketch)

    def remove(self, place: int) -> None:
        """The text of that place is compared with no other."""
        self._database.run("DELETE FROM sketches WHERE place = ?", place)

    def alike_pairs(self) -> Iterator[Pair]:
        """For each text the earliest that was found alike, of the same group."""
        for later, earlier in self._neighbours():
            text = self._texts[later]
            for first in earlier:
                alike = fuzz.ratio(self._texts[first], text, score_cutoff=100 * ALIKE) / 100
                if alike:
                    yield Pair(first, later, alike)
                    break

    def _neighbours(self) -> Iterator[tuple[int, list[int]]]:
        """For each text the earlier ones that share a band with it, of each band the first MAX_COMPARED."""
        self._database.run("DELETE FROM neighbours")
        for number in range(NUM_BANDS):
            ranked = self._database.select(f"SELECT band{number}, place FROM sketches ORDER BY 1, 2")
            self._database.insert("INSERT INTO neighbours VALUES (?, ?)", _neighbours_of_band(ranked))
        found = self._database.select("SELECT later, earlier FROM neighbours ORDER BY later")
        for later, bands in groupby(found, itemgetter(0)):
            yield later, sorted({first for _, earlier in bands for first in json.loads(earlier)})


def _neighbours_of_band(ranked: Iterable[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """`ranked`: hashes and places, those of one hash in a row and the earliest of them first."""
    for _, bucket in groupby(ranked, itemgetter(0)):
        earlier: list[int] = []
        for _, place in bucket:
            if earlier:
                yield place, json.dumps(earlier)
            if len(earlier) < MAX_COMPARED:
                earlier.append(place)


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
