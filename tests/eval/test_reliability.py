"""pass^k against the probability it estimates, and through eval.run on a model that is right every other time."""

import json
import random
from itertools import combinations
from pathlib import Path

import pytest

from eval.evaluation import read_evaluation
from eval.item import Item
from eval.model_card import model_card
from eval.reliability import PassHatK, Tries
from eval.reliability import pass_hat_k as pass_hat_k_of
from eval.settings import EvalSection
from eval.suite import read_suite
from eval.verdict import judge
from tests.eval.planted_server import planted_server
from tests.eval.planted_server import right as right_answer
from tests.eval.rows import CREATE, write_rows
from tests.eval.test_programs import program


def pass_hat_k(tries: list[list[bool]]) -> list[PassHatK]:
    """Each item a row of its own."""
    return pass_hat_k_of([Tries(str(number), outcomes) for number, outcomes in enumerate(tries)])


def test_it_is_the_share_of_all_choices_of_k_tries_that_are_right() -> None:
    tries = [[True, True, False, True, False], [True] * 5, [False] * 5]
    for found in pass_hat_k(tries):
        shares = [[all(chosen) for chosen in combinations(item, found.k)] for item in tries]
        assert found.rate == pytest.approx(sum(sum(share) / len(share) for share in shares) / len(shares))
    assert [found.k for found in pass_hat_k(tries)] == [1, 2, 3, 4, 5]


def test_it_estimates_the_chance_of_k_right_tries() -> None:
    draw = random.Random(3)
    found = pass_hat_k([[draw.random() < 0.8 for _ in range(6)] for _ in range(4000)])
    assert [round(one.rate - 0.8**one.k, 1) for one in found] == [0] * 6


def test_the_interval_holds_the_chance_of_k_right_tries_in_at_least_95_of_100_runs() -> None:
    draw = random.Random(4)
    hits = [0, 0, 0]
    for _ in range(300):
        chances = [draw.random() ** 0.2 for _ in range(60)]
        for found in pass_hat_k([[draw.random() < chance for _ in range(3)] for chance in chances]):
            # The mean of u^(k / 5) for u even between 0 and 1.
            hits[found.k - 1] += found.low <= 1 / (1 + found.k / 5) <= found.high
    assert min(hits) >= 0.9 * 300, hits  # four standard errors under 95 %


def test_items_of_one_row_count_as_one_where_they_agree() -> None:
    (_, apart), (_, together) = (
        pass_hat_k_of([Tries(str(number // size), [number % 12 < 9] * 2) for number in range(48)]) for size in (1, 3)
    )
    assert apart.rate == together.rate == 0.75 and together.high - together.low > 1.3 * (apart.high - apart.low)


def test_nothing_is_said_of_items_asked_once_and_short_items_count_only_as_far_as_they_go() -> None:
    assert pass_hat_k([]) == pass_hat_k([[True], [False]]) == []
    assert [(one.k, one.n) for one in pass_hat_k([[True, True], [True], []])] == [(1, 2), (2, 1)]


def test_samples_of_an_item_are_told_as_pass_hat_k(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", CREATE)
    (tmp_path / "suite.yaml").write_text("rows: [a.jsonl]\nsamples: 4\ntemperature: 0.8\n")
    asked = iter(range(8))

    def every_other(item: Item) -> object:
        silent = item.model_copy(update={"expected_calls": [], "expected_text": ""})
        return right_answer(silent if next(asked) % 2 else item)

    items = read_suite([tmp_path / "suite.yaml"], EvalSection()).items
    with planted_server(items, {"moody": every_other}) as url:
        scored = program(
            "eval.run", tmp_path / "suite.yaml", "--base-url", url, "--model", "moody", "--concurrency", "1",
            "--out", tmp_path / "eval.json", "--report", tmp_path / "report.html",
        )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    written = json.loads((tmp_path / "eval.json").read_text())["candidate"]
    # Two items, each right in two of four tries: 2/4, then C(2,2)/C(4,2), then never.
    assert [(one["k"], one["n"], round(one["rate"], 3)) for one in written["scores"]["pass_hat_k"]] == [
        (1, 2, 0.5), (2, 2, 0.167), (3, 2, 0.0), (4, 2, 0.0),
    ]  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert 'id="reliability"' in page and "<strong>16.6 %</strong><small>2 items" in page
    evaluation = read_evaluation(tmp_path / "eval.json")
    assert "| pass^2 | 16.6 % of 2 items (" in model_card(evaluation, judge(evaluation, evaluation.gate), "")
