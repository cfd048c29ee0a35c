"""The assignment against every permutation."""

import random
from itertools import permutations

from eval.assignment import best_assignment


def best_by_trying_all(weights: list[list[float]]) -> float:
    rows, columns = len(weights), len(weights[0])
    if rows > columns:
        return best_by_trying_all([list(column) for column in zip(*weights, strict=True)])
    return max(sum(weights[i][j] for i, j in enumerate(chosen)) for chosen in permutations(range(columns), rows))


def test_no_permutation_is_better() -> None:
    draw = random.Random(5)
    for _ in range(400):
        rows, columns = draw.randint(1, 5), draw.randint(1, 6)
        weights = [[draw.choice([0, 0.25, 1, 3, -1, draw.random()]) for _ in range(columns)] for _ in range(rows)]
        pairs = best_assignment(weights)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs) == min(rows, columns)
        assert abs(sum(weights[i][j] for i, j in pairs) - best_by_trying_all(weights)) < 1e-9


def test_the_only_fit_of_a_later_row_is_not_given_away() -> None:
    assert best_assignment([[1.0, 1.0], [1.0, 0.0]]) == [(0, 1), (1, 0)]


def test_nothing_is_assigned_to_nothing() -> None:
    assert best_assignment([]) == best_assignment([[], []]) == []
