"""Counts in bins of equal width, with borders that read well."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

MAX_BINS = 30


class Bin(NamedTuple):
    start: int
    """It holds what is from `start` to below `end`."""
    end: int
    rows: int


def histogram(numbers: Sequence[int]) -> list[Bin]:
    """Bins from 0 to the largest number, as wide as 1, 2 or 5 times a power of ten; none for no number.

    >>> histogram([0, 3, 45, 61])[:2]
    [Bin(start=0, end=5, rows=2), Bin(start=5, end=10, rows=0)]
    """
    if not numbers:
        return []
    largest = max(numbers)
    widths = (step * 10**power for power in count() for step in (1, 2, 5))
    width = next(width for width in widths if largest // width < MAX_BINS)
    rows = Counter(number // width for number in numbers)
    return [Bin(index * width, (index + 1) * width, rows[index]) for index in range(largest // width + 1)]
