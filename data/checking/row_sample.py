"""A few rows that show what a set holds: of each shape some, from its beginning to its end."""

from collections.abc import Sequence

from data.reading import NumberedRow
from data.row_summary import SHAPES, Shape, shape_of


def sample_rows(rows: Sequence[NumberedRow], num_rows: int) -> list[NumberedRow]:
    """`num_rows` of them, or all, by shape; the same rows give the same sample.

    Shapes share alike: what a rare one does not fill goes to the others.
    """
    places: dict[Shape, list[int]] = {shape: [] for shape in SHAPES}
    for place, numbered in enumerate(rows):
        places[shape_of(numbered.row)].append(place)
    shares = _shares([len(of_shape) for of_shape in places.values()], num_rows)
    sample: list[NumberedRow] = []
    for of_shape, share in zip(places.values(), shares, strict=True):
        sample += [rows[of_shape[index * len(of_shape) // share]] for index in range(share)]
    return sample


def _shares(sizes: list[int], num_rows: int) -> list[int]:
    """One for each size in turn, until none is left to give or to take."""
    shares = [0] * len(sizes)
    for _ in range(min(num_rows, sum(sizes))):
        open_sizes = [index for index, size in enumerate(sizes) if shares[index] < size]
        shares[min(open_sizes, key=lambda index: shares[index])] += 1
    return shares
