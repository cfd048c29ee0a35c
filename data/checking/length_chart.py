"""The lengths of rows as a bar chart: where its bars, marks and texts stand in a drawing of WIDTH by HEIGHT."""

from collections.abc import Sequence
from typing import NamedTuple

from data.checking.histogram import Bin, histogram

WIDTH, HEIGHT = 640, 150
"""Of the bars; texts stand below."""
MAX_TICKS = 6


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    label: str


class Tick(NamedTuple):
    x: float
    label: str


class LengthChart(NamedTuple):
    bars: list[Bar]
    ticks: list[Tick]
    highest: int
    """Rows of the highest bar."""
    limit_x: float | None
    """Where the longest length allowed stands; None when there is none, or it lies far right of every row."""


def length_chart(lengths: Sequence[int], limit: int | None = None) -> LengthChart:
    """`lengths` in tokens, one a row; there must be one at least."""
    bins = histogram(lengths)
    end = bins[-1].end
    shows_limit = limit is not None and limit <= 1.5 * end
    if limit is not None and shows_limit:
        end = max(end, limit)
    scale, highest = WIDTH / end, max(bin_.rows for bin_ in bins)
    bars = [
        Bar(
            x=round(bin_.start * scale, 2),
            y=round(HEIGHT * (1 - bin_.rows / highest), 2),
            width=round(max((bin_.end - bin_.start) * scale - 1, 1), 2),
            height=round(HEIGHT * bin_.rows / highest, 2),
            label=_label(bin_),
        )
        for bin_ in bins
        if bin_.rows
    ]
    every = -(-len(bins) // MAX_TICKS)
    ticks = [Tick(round(bin_.start * scale, 2), f"{bin_.start:,}") for bin_ in bins[::every]]
    return LengthChart(bars, ticks, highest, round(limit * scale, 2) if limit is not None and shows_limit else None)


def _label(bin_: Bin) -> str:
    tokens = f"{bin_.start:,} to {bin_.end - 1:,}" if bin_.end - bin_.start > 1 else f"{bin_.start:,}"
    return f"{tokens} tokens: {bin_.rows:,} row" + ("" if bin_.rows == 1 else "s")
