"""pass^k: how likely are k tries at one item all right? (tau-bench, Yao et al. 2024, arXiv 2406.12045, section 3)"""

from collections import defaultdict
from collections.abc import Iterable
from math import comb
from typing import NamedTuple

from eval.intervals import Share, clustered_wilson
from eval.settings import Record


class PassHatK(Record):
    k: int
    rate: float
    n: int
    """Items asked at least k times; a try without an answer is no try."""
    low: float = 0.0
    high: float = 1.0
    """95 % interval, with rows as independent. An item's share of right choices varies no more than a yes or no of the
    same mean, so Wilson's interval is on the wide side here."""


class Tries(NamedTuple):
    """Of one item."""

    row: str
    outcomes: list[bool]


def pass_hat_k(tries: Iterable[Tries]) -> list[PassHatK]:
    """For each k up to the most tries of an item: the mean over items of C(c, k) / C(n, k), with c of n tries right.

    That is the unbiased estimate from n tries. Nothing where no item was asked twice.
    """
    items = [one for one in tries if one.outcomes]
    most = max((len(one.outcomes) for one in items), default=0)
    return [_mean(items, k) for k in range(1, most + 1)] if most > 1 else []


def _mean(items: list[Tries], k: int) -> PassHatK:
    rows: dict[str, list[float]] = defaultdict(list)
    for row, outcomes in items:
        if len(outcomes) >= k:
            rows[row].append(comb(sum(outcomes), k) / comb(len(outcomes), k))
    n, rate_sum = sum(map(len, rows.values())), sum(map(sum, rows.values()))
    interval, _ = clustered_wilson([Share(sum(shares), len(shares)) for shares in rows.values()], num_items=n)
    return PassHatK(k=k, rate=rate_sum / n, n=n, low=interval.low, high=interval.high)
