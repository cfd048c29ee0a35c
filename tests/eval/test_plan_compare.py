"""The planner against the gate's own rule, and two evaluations of one suite side by side."""

import json
from math import comb
from pathlib import Path

import numpy as np
import pytest

from eval.intervals import wilson
from eval.power import needed_items, power
from tests.eval.planted_server import planted_server
from tests.eval.rows import CREATE, SMALL_TALK, suite_of
from tests.eval.test_programs import program


@pytest.mark.parametrize(
    ("n", "rate", "threshold"), [(100, 0.97, 0.95), (300, 0.98, 0.95), (73, 1.0, 0.95), (72, 1.0, 0.95)]
)
def test_the_power_is_how_often_the_gates_rule_holds(n: int, rate: float, threshold: float) -> None:
    passing = [k for k in range(n + 1) if wilson(k, n).low >= threshold]
    chances = [comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in passing]
    assert power(n, rate, threshold) == pytest.approx(sum(chances))


def test_with_the_planned_items_so_many_runs_pass() -> None:
    items = needed_items(0.97, 0.95, 0.8)
    assert items is not None
    right = np.random.default_rng(0).binomial(items, 0.97, 4000)
    assert np.mean([wilson(int(k), items).low >= 0.95 for k in right]) >= 0.8 - 0.02
    assert power(items - 1, 0.97, 0.95) < 0.8
    assert needed_items(0.95, 0.95, 0.8) is None and needed_items(1.0, 0.95, 0.8) == 73


def test_the_planner_tells_rows_and_refuses_what_cannot_be_shown(tmp_path: Path) -> None:
    planned = program("eval.plan", "--threshold", "0.95", "--rate", "1.0")
    assert planned.returncode == 0 and "80.0 %" in planned.stdout and "73" in planned.stdout
    hopeless = program("eval.plan", "--threshold", "0.95", "--rate", "0.95")
    assert hopeless.returncode == 2 and "never shows" in hopeless.stderr and hopeless.stderr.count("\n") == 1


def test_two_evaluations_are_compared_item_by_item(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, *[CREATE] * 12, SMALL_TALK)
    with planted_server(suite.items) as url:
        for name, model in (("old", "wrong_value"), ("new", "right"), ("short", "right")):
            words = ["--limit", "3"] if name == "short" else []
            scored = program(
                "eval.run",
                *suite.paths,
                "--base-url",
                url,
                "--model",
                model,
                "--out",
                tmp_path / f"{name}.json",
                *words,
            )
            assert scored.returncode == 0, scored.stderr
    compared = program("eval.compare", tmp_path / "old.json", tmp_path / "new.json", "--json", tmp_path / "c.json")
    assert compared.returncode == 0, compared.stderr
    assert "12 items gained" in compared.stdout and "create_task: title" in compared.stdout
    found = json.loads((tmp_path / "c.json").read_text())
    exact = found["metrics"]["exact"]
    assert (exact["only_candidate"], exact["only_baseline"], exact["difference"]) == (12, 0, 1.0)
    assert exact["p_value"] == pytest.approx(2 / 2**12) and exact["low"] > 0.5
    assert len(found["gained"]) == 12 and found["lost"] == []

    other = program("eval.compare", tmp_path / "old.json", tmp_path / "short.json")
    assert other.returncode == 2 and "another suite" in other.stderr
