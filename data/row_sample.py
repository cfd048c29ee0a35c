"""A few rows that show what a set holds: of each shape some, from its beginning to its end."""

from data.reading import NumberedRow
from data.row_summary import SHAPES, Shape, shape_of


def sample_rows(rows: list[NumberedRow], num_rows: int) -> list[NumberedRow]:
    """`num_rows` of them, or all, by shape; the same rows give the same sample.

    Shapes share alike: what a rare one does not fill goes to the others.
    """
    by_shape: dict[Shape, list[NumberedRow]] = {shape: [] for shape in SHAPES}
    for numbered in rows:
        by_shape[shape_of(numbered.row)].append(numbered)
    sample = []
    shares = _shares([len(of_shape) for of_shape in by_shape.values()], num_rows)
    for of_shape, share in zip(by_shape.values(), shares, strict=True):
        sample += [of_shape[index * len(of_shape) // share] for index in range(share)]
    return sample


def _shares(sizes: list[int], places: int) -> list[int]:
    shares = [0] * len(sizes)
    while places and any(share < size for share, size in zip(shares, sizes, strict=True)):
        for index, size in enumerate(sizes):
            if shares[index] < size and places:
                shares[index] += 1
                places -= 1
    return shares
