"""Two models on the same items: the exact test and the interval of the difference, against references and by chance."""

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from numpy.random import Generator

from eval.matching import Score
from eval.paired import compare, mcnemar_exact, pairs_of
from eval.reply import NotRun
from eval.scores import Result

NUM_RUNS = 1000


@cache
def result(row: int, item: int, is_right: bool | None) -> Result:
    """`None`: the endpoint gave no answer."""
    verdict, metrics = ("not_run", {}) if is_right is None else ("right" if is_right else "wrong", {"exact": is_right})
    return Result(
        id=f"rows.jsonl:{row}#{item}", kind="call", request="", expected_calls=[], expected_text="",
        answer=NotRun(reason=""), score=Score.model_validate({"verdict": verdict, "metrics": metrics}),
    )  # fmt: skip


class Run(NamedTuple):
    candidate: list[Result]
    baseline: list[Result]


def of_rows(*rows: list[tuple[bool | None, bool | None]]) -> Run:
    """A list a row, a pair of outcomes an item."""
    items = [(r, i, *pair) for r, row in enumerate(rows) for i, pair in enumerate(row)]
    return Run([result(r, i, ours) for r, i, ours, _ in items], [result(r, i, theirs) for r, i, _, theirs in items])


def test_rows_of_one_item_give_mcnemars_exact_test() -> None:
    assert mcnemar_exact([1] + [-1] * 9) == pytest.approx(22 / 1024)
    assert mcnemar_exact([]) == mcnemar_exact([0, 0]) == mcnemar_exact([1, -1] * 5) == 1.0
    assert 0 <= mcnemar_exact([-1] * 1000) < 1e-290


@pytest.mark.parametrize("nets", [[2, 1, -1, 3], [4, -4, 1], [1, 1, 2, 2, -3, 1], [5]])
def test_the_p_value_is_the_share_of_signs_that_are_as_extreme(nets: list[int]) -> None:
    signed = [abs(sum(s * n for s, n in zip(signs, nets, strict=True))) for signs in product((1, -1), repeat=len(nets))]
    assert mcnemar_exact(nets) == pytest.approx(np.mean([total >= abs(sum(nets)) for total in signed]))


def test_one_row_that_was_lost_whole_is_one_loss() -> None:
    # As items these six losses would be p = 0.03; they are one conversation.
    paired = compare(pairs_of(*of_rows([(False, True)] * 6, *[[(True, True)]] * 20), "exact"))
    assert (paired.only_baseline, paired.p_value) == (6, 1.0)


def test_only_items_that_both_answered_are_compared() -> None:
    paired = compare(pairs_of(*of_rows([(True, False), (None, True), (True, None)], [(True, True)]), "exact"))
    assert (paired.n, paired.only_candidate, paired.both) == (2, 1, 1)
    nothing = compare([])
    assert (nothing.difference, nothing.low, nothing.p_value) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, table III, method 10.
    [((36, 12, 2, 0), 0.0569, 0.3404)],
)
def test_the_difference_has_the_published_interval(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    outcomes = ((True, True), (True, False), (False, True), (False, False))
    rows = [[outcome] for outcome, count in zip(outcomes, counts, strict=True) for _ in range(count)]
    paired = compare(pairs_of(*of_rows(*rows), "exact"))
    assert paired.low is not None and paired.high is not None
    assert (paired.low, paired.high) == pytest.approx((low, high), abs=5e-4)


def simulated(rng: Generator, ours: float, theirs: float, alike: float, num_rows: int) -> Run:
    """How hard a row is both models share; in so many rows (`alike`) it decides all of the row's items."""
    rows: list[list[tuple[bool | None, bool | None]]] = []
    for _ in range(num_rows):
        hardness, is_decided = rng.random(), rng.random() < alike
        row_ours, row_theirs = (float(hardness < rate) if is_decided else rate for rate in (ours, theirs))
        size = rng.integers(1, 4)
        rows.append([(bool(rng.random() < row_ours), bool(rng.random() < row_theirs)) for _ in range(size)])
    return of_rows(*rows)


@pytest.mark.parametrize("alike", [0.0, 0.4])
def test_the_interval_holds_the_true_difference_and_equal_models_are_seldom_told_apart(alike: float) -> None:
    rng = np.random.default_rng(3)
    hits = alarms = 0
    for _ in range(NUM_RUNS):
        paired = compare(pairs_of(*simulated(rng, 0.9, 0.8, alike, 60), "exact"))
        assert paired.low is not None and paired.high is not None
        hits += paired.low <= 0.1 <= paired.high
        alarms += compare(pairs_of(*simulated(rng, 0.85, 0.85, alike, 60), "exact")).p_value < 0.05
    assert hits / NUM_RUNS > 0.95 - 0.028
    assert alarms / NUM_RUNS < 0.05 + 0.028
