"""A rate of right answers with its 95 % interval, whose rows, not its items, are what is independent."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from eval.intervals import Share, clustered_wilson
from eval.settings import Record


class Rate(Record):
    k: int
    n: int
    rate: float | None
    """None when n is 0: no data is neither 0 nor 1."""
    low: float | None
    high: float | None
    num_rows: int = 0
    """Rows (conversations) that the n outcomes come from."""
    design_effect: float = 1.0
    """n outcomes tell as much as n / design_effect independent ones."""


class Outcome(NamedTuple):
    row: str
    item: str
    """The same for every sample of one item."""
    is_met: bool


NO_DATA = Rate(k=0, n=0, rate=None, low=None, high=None)


def rate_of(outcomes: Iterable[Outcome]) -> Rate:
    met = list(outcomes)
    if not met:
        return NO_DATA
    rows: dict[str, list[bool]] = defaultdict(list)
    for outcome in met:
        rows[outcome.row].append(outcome.is_met)
    shares = [Share(sum(row), len(row)) for row in rows.values()]
    interval, design_effect = clustered_wilson(shares, num_items=len({outcome.item for outcome in met}))
    k = sum(outcome.is_met for outcome in met)
    return Rate(
        k=k,
        n=len(met),
        rate=k / len(met),
        low=interval.low,
        high=interval.high,
        num_rows=len(rows),
        design_effect=design_effect,
    )
