"""pass^k: how likely are k tries at one item all right? (tau-bench, Yao et al. 2024, arXiv 2406.12045, section 3)"""

from collections.abc import Iterable
from math import comb

from eval.settings import Record


class PassHatK(Record):
    k: int
    rate: float
    n: int
    """Items asked at least k times; a try without an answer is no try."""


def pass_hat_k(tries: Iterable[list[bool]]) -> list[PassHatK]:
    """For each k up to the most tries of an item: the mean over items of C(c, k) / C(n, k), with c of n tries right.

    That is the unbiased estimate from n tries. Nothing where no item was asked twice.
    """
    items = [outcomes for outcomes in tries if outcomes]
    most = max(map(len, items), default=0)
    return [_mean(items, k) for k in range(1, most + 1)] if most > 1 else []


def _mean(items: list[list[bool]], k: int) -> PassHatK:
    shares = [comb(sum(tries), k) / comb(len(tries), k) for tries in items if len(tries) >= k]
    return PassHatK(k=k, rate=sum(shares) / len(shares), n=len(shares))
