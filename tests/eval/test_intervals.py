import pytest

from eval.intervals import mcnemar_exact, needed_trials, percentile, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(95, 100, 0.8882, 0.9785), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_the_published_values(k: int, n: int, low: float, high: float) -> None:
    # 81 of 263: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_needed_trials_is_where_the_lower_end_reaches_the_threshold() -> None:
    assert (needed_trials(1.0, 0.95), needed_trials(1.0, 0.99), needed_trials(0.96, 0.95)) == (73, 381, 1825)
    assert wilson(73, 73).low >= 0.95 > wilson(72, 72).low
    assert wilson(1752, 1825).low >= 0.95 > wilson(1728, 1800).low
    assert needed_trials(0.95, 0.95) is None


def test_mcnemar_is_the_two_sided_binomial_test_on_the_pairs_that_differ() -> None:
    assert mcnemar_exact(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar_exact(0, 0) == mcnemar_exact(5, 5) == 1.0
    assert 0 <= mcnemar_exact(0, 3000) < 1e-300


def test_percentile_is_a_measured_value() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.5, 0.95)] == [2.0, 4.0]
    assert percentile([], 0.5) is None
