"""The statistics behind a verdict: Wilson's interval, the rows it asks for, McNemar's exact test, percentiles."""

import math
from collections.abc import Sequence
from typing import NamedTuple

Z_95 = 1.959964


class Interval(NamedTuple):
    low: float
    high: float


def wilson(k: int, n: int) -> Interval:
    """95 % interval of k successes in n trials (E. B. Wilson, JASA 22, 1927): honest near 0 and 1, and for small n.

    >>> [round(end, 4) for end in wilson(95, 100)]
    [0.8882, 0.9785]
    """
    assert 0 <= k <= n and n > 0, (k, n)
    rate, z2 = k / n, Z_95**2
    centre = rate + z2 / (2 * n)
    margin = Z_95 * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return Interval(max(0.0, (centre - margin) / (1 + z2 / n)), min(1.0, (centre + margin) / (1 + z2 / n)))


def needed_trials(rate: float, threshold: float) -> int | None:
    """Trials after which Wilson's lower end reaches the threshold if the rate stays; None: never.

    The interval inverts the score test, so its lower end is t exactly where (rate - t)^2 = z^2 t (1 - t) / n.

    >>> needed_trials(1.0, 0.95)
    73
    """
    if rate <= threshold:
        return None
    return math.ceil(Z_95**2 * threshold * (1 - threshold) / (rate - threshold) ** 2)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test: could the pairs on which two models differ be a fair coin's?"""
    n = only_first + only_second
    tail = sum(math.comb(n, i) for i in range(min(only_first, only_second) + 1))
    return float(min(1.0, 2 * tail / 2**n))


def percent(share: float, decimals: int = 1) -> str:
    """Never rounded up: 94.96 % must not read as the 95 % that it failed.

    >>> percent(0.9496), percent(1.0)
    ('94.9 %', '100.0 %')
    """
    scale = 10**decimals
    return f"{math.floor(100 * scale * share + 1e-6) / scale:.{decimals}f} %"


def interval(low: float, high: float) -> str:
    """Percent, rounded outwards: what is shown holds what was computed.

    >>> interval(0.95553, 0.99473)
    '95.5 to 99.5'
    """
    return f"{math.floor(1000 * low + 1e-6) / 10:.1f} to {math.ceil(1000 * high - 1e-6) / 10:.1f}"


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile (a value that was measured, never an average of two); None for no values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
