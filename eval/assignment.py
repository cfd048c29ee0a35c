"""The best one-to-one assignment of rows to columns: the Hungarian method (Kuhn 1955), in O(n^3) with potentials."""

import math
from collections.abc import Sequence

Weights = Sequence[Sequence[float]]


def best_assignment(weights: Weights) -> list[tuple[int, int]]:
    """Pairs (row, column) with the largest sum of weights, as many as the shorter side has, by row.

    First come, first served would not do: it can give away the only fit of a later row.
    """
    if not weights or not weights[0]:
        return []
    if len(weights) == len(weights[0]) == 1:
        return [(0, 0)]
    if len(weights) > len(weights[0]):
        turned = [list(column) for column in zip(*weights, strict=True)]
        return sorted((row, column) for column, row in best_assignment(turned))
    # Costs with a row and a column 0 in front, which stand for "none yet".
    costs = [[0.0] * (len(weights[0]) + 1), *([0.0, *(-weight for weight in row)] for row in weights)]
    row_of = [0] * len(costs[0])
    row_potential, column_potential = [0.0] * len(costs), [0.0] * len(costs[0])
    for row in range(1, len(costs)):
        _place(row, costs, row_of, row_potential, column_potential)
    return sorted((row - 1, column - 1) for column, row in enumerate(row_of) if row and column)


def _place(
    row: int, costs: Weights, row_of: list[int], row_potential: list[float], column_potential: list[float]
) -> None:
    """Give `row` a column, moving earlier rows along the cheapest path (Dijkstra on the reduced costs)."""
    row_of[0], column = row, 0
    cheapest, came_from = [math.inf] * len(row_of), [0] * len(row_of)
    done: set[int] = set()
    while row_of[column]:
        done.add(column)
        current = row_of[column]
        for j in range(1, len(row_of)):
            reduced = costs[current][j] - row_potential[current] - column_potential[j]
            if j not in done and reduced < cheapest[j]:
                cheapest[j], came_from[j] = reduced, column
        nearest = min((j for j in range(1, len(row_of)) if j not in done), key=lambda j: cheapest[j])
        step = cheapest[nearest]
        for j in range(len(row_of)):
            if j in done:
                row_potential[row_of[j]] += step
                column_potential[j] -= step
            else:
                cheapest[j] -= step
        column = nearest
    while column:
        row_of[column] = row_of[came_from[column]]
        column = came_from[column]
