"""How many items a claim needs before anything is asked: the power of the gate's own rule, computed exactly."""

import math
from itertools import count, islice

from eval.intervals import Z_95

MAX_ITEMS = 200_000


def power(n: int, rate: float, threshold: float) -> float:
    """Chance that the lower end of Wilson's 95 % interval reaches `threshold` with n independent items at `rate`."""
    # The interval inverts the score test, so its lower end is the threshold at k = nt + z sqrt(nt(1 - t)).
    fewest = math.ceil(n * threshold + Z_95 * math.sqrt(n * threshold * (1 - threshold)) - 1e-9)
    return math.fsum(_binomial(k, n, rate) for k in range(fewest, n + 1))


def needed_items(rate: float, threshold: float, least_power: float) -> int | None:
    """The smallest n from which on the power stays at or above `least_power`; None: more than MAX_ITEMS.

    The power is a sawtooth, since k is whole: it drops where one more failure would have to be allowed.
    """
    if rate <= threshold:
        return None
    tooth = math.ceil(2 / (1 - threshold)) + 1
    run = 0
    for n in islice(count(_first_guess(rate, threshold)), MAX_ITEMS):
        run = run + 1 if power(n, rate, threshold) >= least_power else 0
        if run == tooth:
            return n - tooth + 1
    return None


def _first_guess(rate: float, threshold: float) -> int:
    """Where the expected rate alone would do, which is near a power of one half: half of that is too few."""
    return max(1, math.floor(Z_95**2 * threshold * (1 - threshold) / (rate - threshold) ** 2 / 2))


def _binomial(k: int, n: int, rate: float) -> float:
    if rate >= 1:
        return float(k == n)
    log_ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log_ways + k * math.log(rate) + (n - k) * math.log1p(-rate))
