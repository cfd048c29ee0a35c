"""Two models on the same items: what one got right and the other did not, the difference, and whether it is chance."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.intervals import Interval
from eval.rates import Outcome, Rate, rate_of
from eval.scores import Result
from eval.settings import Metric, Record


class Paired(Record):
    """Of the items that gave both models the metric."""

    both: int
    only_candidate: int
    only_baseline: int
    neither: int
    p_value: float
    """McNemar's exact test, two-sided, with rows as units."""
    difference: float | None
    """Rate of the candidate minus rate of the baseline; None without an item."""
    low: float | None
    high: float | None
    """95 % interval of the difference."""

    @property
    def n(self) -> int:
        return self.both + self.only_candidate + self.only_baseline + self.neither


class Pair(NamedTuple):
    candidate: Result
    baseline: Result
    metric: Metric

    @property
    def outcomes(self) -> tuple[bool, bool]:
        return self.candidate.score.metrics[self.metric], self.baseline.score.metrics[self.metric]


def pairs_of(candidate: Sequence[Result], baseline: Sequence[Result], metric: Metric) -> list[Pair]:
    """The items that gave both the metric; both lists are in the order of one suite."""
    pairs = (Pair(ours, theirs, metric) for ours, theirs in zip(candidate, baseline, strict=True))
    return [pair for pair in pairs if metric in pair.candidate.score.metrics and metric in pair.baseline.score.metrics]


def compare(pairs: Sequence[Pair]) -> Paired:
    counts = Counter(pair.outcomes for pair in pairs)
    nets: dict[str, int] = defaultdict(int)
    for pair in pairs:
        ours, theirs = pair.outcomes
        nets[pair.candidate.row_id] += int(ours) - int(theirs)
    ends = _difference(pairs, counts) if pairs else None
    return Paired(
        both=counts[True, True],
        only_candidate=counts[True, False],
        only_baseline=counts[False, True],
        neither=counts[False, False],
        p_value=mcnemar_exact(nets.values()),
        difference=(counts[True, False] - counts[False, True]) / len(pairs) if pairs else None,
        low=ends.low if ends else None,
        high=ends.high if ends else None,
    )


def mcnemar_exact(nets: Iterable[int]) -> float:
    """Two-sided exact p-value of McNemar's test for rows of several items: could a fair coin have set the signs?

    `nets` holds, a row, how many more items the first model got right than the second. Under the null hypothesis each
    row's sign is a coin's (R. A. Fisher's randomisation test of paired data, 1935; the whole distribution by
    convolution, M. Pagano and D. Tritchler, JASA 78, 1983). Rows of one item give McNemar's test itself.

    >>> round(mcnemar_exact([1] + [-1] * 9), 4)
    0.0215
    """
    nets = list(nets)
    sizes = Counter(abs(net) for net in nets if net)
    # chances[i]: of i being the sum of the sizes whose sign is plus.
    chances: NDArray[Any] = np.ones(1)
    for size, count in sizes.items():
        binomial = np.zeros(size * count + 1)
        binomial[::size] = [math.comb(count, i) / 2**count for i in range(count + 1)]
        chances = np.convolve(chances, binomial)
    total = sum(size * count for size, count in sizes.items())
    extreme = abs(sum(nets))
    tail = sum(chance for plus, chance in enumerate(chances) if abs(2 * plus - total) >= extreme)
    return float(min(1.0, tail))


def _difference(pairs: Sequence[Pair], counts: Counter[tuple[bool, bool]]) -> Interval:
    """R. G. Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, pages 2635-2650, method 10), made of

    the two clustered Wilson intervals, as G. Y. Zou and A. Donner (Statistics in Medicine 27, 2008) do with others.
    """
    ours, theirs = (_rate(pairs, index) for index in (0, 1))
    phi = _correlation(counts)
    below = _distance(ours.rate - ours.low, theirs.high - theirs.rate, phi)
    above = _distance(ours.high - ours.rate, theirs.rate - theirs.low, phi)
    difference = ours.rate - theirs.rate
    return Interval(max(-1.0, difference - below), min(1.0, difference + above))


class _Known(NamedTuple):
    rate: float
    low: float
    high: float


def _rate(pairs: Sequence[Pair], index: int) -> _Known:
    rate: Rate = rate_of(Outcome(p.candidate.row_id, p.candidate.item_id, p.outcomes[index]) for p in pairs)
    assert rate.rate is not None and rate.low is not None and rate.high is not None, "there are pairs"
    return _Known(rate.rate, rate.low, rate.high)


def _distance(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))


def _correlation(counts: Counter[tuple[bool, bool]]) -> float:
    """Of the two models' outcomes, with Newcombe's correction, which shrinks a positive one."""
    a, b, c, d = (counts[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if not margins:
        return 0.0
    product = a * d - b * c
    corrected = max(product - (a + b + c + d) / 2, 0) if product > 0 else product
    return float(corrected / math.sqrt(margins))
