"""latency.json: an endpoint under several loads, and what its calls cost."""

import json
from pathlib import Path
from typing import Literal

from data.user_error import UserError
from eval.cost import Cost, Prices, cost
from eval.endpoint import Endpoint
from eval.load import LoadResult
from eval.settings import Record


class LatencyFile(Record):
    schema_version: Literal[1] = 1
    endpoint: Endpoint
    loads: list[LoadResult]
    prices: Prices | None
    cost: Cost | None
    """At the throughput of the best load."""


def latency_file(endpoint: Endpoint, loads: list[LoadResult], prices: Prices | None) -> LatencyFile:
    best = max(loads, key=lambda load: load.calls_per_s)
    found = None
    if prices and best.calls_per_s and best.prompt_tokens:
        found = cost(prices, best.prompt_tokens, best.completion_tokens, best.calls_per_s)
    return LatencyFile(endpoint=endpoint, loads=loads, prices=prices, cost=found)


def read_latency(path: Path) -> LatencyFile:
    """Raises UserError for a file that eval.latency did not write."""
    try:
        return LatencyFile.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(f"not a latency.json: {error}", where=str(path), fix="run eval.latency again") from error
