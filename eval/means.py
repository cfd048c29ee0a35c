"""Means over the answers of one model: latency and tokens a turn, each with its n and its 95 % interval."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from eval.intervals import bootstrap_mean
from eval.reply import Reply
from eval.scores import Result


class Mean(NamedTuple):
    value: float
    low: float
    high: float
    """By a bootstrap over rows: turns of one row are alike."""
    n: int


class Means(NamedTuple):
    """Of the turns that were answered; None without any."""

    latency_ms: Mean | None
    prompt_tokens: Mean | None
    completion_tokens: Mean | None


def means(results: Iterable[Result]) -> Means:
    rows: dict[str, list[Reply]] = defaultdict(list)
    for result in results:
        if isinstance(result.answer, Reply):
            rows[result.row_id].append(result.answer)

    def mean(of: Callable[[Reply], float]) -> Mean | None:
        return mean_of([[of(reply) for reply in replies] for replies in rows.values()])

    return Means(
        latency_ms=mean(lambda reply: 1000 * reply.latency_s),
        prompt_tokens=mean(lambda reply: reply.prompt_tokens),
        completion_tokens=mean(lambda reply: reply.completion_tokens),
    )


def mean_of(clusters: list[list[float]]) -> Mean | None:
    values = [value for cluster in clusters for value in cluster]
    if not values:
        return None
    return Mean(sum(values) / len(values), *bootstrap_mean(clusters), len(values))
