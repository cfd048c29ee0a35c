"""Intervals against published values, and their coverage over 1,000 simulated runs with turns of a row alike."""

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from eval.intervals import Share, bootstrap_mean, clustered_wilson, needed_trials, percentile, wilson

NUM_RUNS = 1000
# Four standard errors of a coverage of 95 % over 1,000 runs: 0.6 points each.
TOLERANCE = 0.028


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(95, 100, 0.8882, 0.9785), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_the_published_values(k: int, n: int, low: float, high: float) -> None:
    # 81 of 263: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_needed_trials_is_where_the_lower_end_reaches_the_threshold() -> None:
    for rate, threshold in ((1.0, 0.95), (0.98, 0.95), (0.97, 0.95), (0.998, 0.99)):
        needed = needed_trials(rate, threshold)
        assert needed is not None
        assert wilson(rate * needed, needed).low >= threshold - 1e-9
        assert wilson(rate * (needed - 1), needed - 1).low < threshold
    assert needed_trials(0.95, 0.95) is None


def test_percentile_is_a_measured_value() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.5, 0.95)] == [2.0, 4.0]
    assert percentile([], 0.5) is None


def test_rows_of_one_item_give_wilsons_own_interval() -> None:
    interval, design_effect = clustered_wilson([Share(1, 1)] * 95 + [Share(0, 1)] * 5, num_items=100)
    assert (interval, design_effect) == (wilson(95, 100), 1.0)


def test_rows_whose_turns_always_agree_count_once() -> None:
    interval, design_effect = clustered_wilson([Share(4, 4)] * 80 + [Share(0, 4)] * 20, num_items=400)
    assert design_effect == pytest.approx(4, rel=0.06)  # and a little for the degrees of freedom
    assert interval == pytest.approx(wilson(80, 100), abs=0.004)


def test_asking_the_same_items_more_often_proves_nothing_when_all_is_right() -> None:
    interval, design_effect = clustered_wilson([Share(10, 10)] * 20, num_items=20)
    assert (interval, design_effect) == (wilson(20, 20), 10.0)


def test_one_row_says_next_to_nothing() -> None:
    interval, _ = clustered_wilson([Share(15, 20)], num_items=20)
    assert interval.high - interval.low > 0.8


def row_outcomes(rng: Generator, rate: float, alike: float, sizes: NDArray[np.int64]) -> list[Share]:
    """Beta-binomial rows: the correlation of two turns of one row is `alike`."""
    if alike == 0:
        rates = np.full(len(sizes), rate)
    else:
        scale = (1 - alike) / alike
        rates = rng.beta(rate * scale, (1 - rate) * scale, len(sizes))
    return [Share(int(k), int(n)) for k, n in zip(rng.binomial(sizes, rates), sizes, strict=True)]


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(("num_rows", "largest"), [(10, 3), (60, 3), (220, 4)])
@pytest.mark.parametrize("alike", [0.0, 0.3, 0.8])
def test_the_interval_holds_the_true_rate_in_95_of_100_runs(
    rate: float, num_rows: int, largest: int, alike: float
) -> None:
    rng = np.random.default_rng(1)
    hits = plain_hits = 0
    for _ in range(NUM_RUNS):
        shares = row_outcomes(rng, rate, alike, rng.integers(1, largest + 1, num_rows))
        k, n = sum(share.k for share in shares), sum(share.n for share in shares)
        interval, _ = clustered_wilson(shares, num_items=n)
        hits += interval.low <= rate <= interval.high
        plain_hits += wilson(k, n).low <= rate <= wilson(k, n).high
    # Of ten rows whose turns nearly always agree, all are right in some runs, and then nothing tells how alike turns
    # are: 90 % is what is measured there.
    assert hits / NUM_RUNS > (0.9 if num_rows == 10 and alike == 0.8 else 0.95 - TOLERANCE)
    if num_rows > 10:  # few rows may only err on the wide side
        assert hits / NUM_RUNS < 0.95 + TOLERANCE
    if alike == 0.8 and num_rows == 220:
        assert plain_hits / NUM_RUNS < 0.85, "the simulation must be one that Wilson's own interval fails"


def test_the_bootstrap_holds_the_true_mean_in_95_of_100_runs() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(NUM_RUNS):
        rows = rng.normal(100, 20, 80)
        values = [list(rng.normal(row, 10, rng.integers(1, 5))) for row in rows]
        interval = bootstrap_mean(values, num_resamples=500)
        hits += interval.low <= 100 <= interval.high
    assert abs(hits / NUM_RUNS - 0.945) < TOLERANCE
    assert bootstrap_mean(values) == bootstrap_mean(values)
