"""What a call costs on a GPU that is paid by the hour, beside an API that is paid by the token."""

from typing import NamedTuple

from eval.settings import Record

CURVE_WIDTH, CURVE_HEIGHT = 640, 200
_POINTS = 60


class Prices(Record):
    gpu_per_hour: float
    api_per_million_in: float
    api_per_million_out: float


class Cost(Record):
    """Dollars, or whatever the prices are in."""

    api_per_1000: float
    own_per_1000: float
    """With the GPU as busy as it was measured at its best."""
    capacity_calls_per_s: float
    break_even_calls_per_s: float
    """From this many on, all day, the GPU is cheaper."""
    is_ever_cheaper: bool
    """Whether one GPU can answer so many."""


def cost(prices: Prices, prompt_tokens: float, completion_tokens: float, capacity_calls_per_s: float) -> Cost:
    api_per_call = api_cost_per_call(prices, prompt_tokens, completion_tokens)
    break_even = prices.gpu_per_hour / 3600 / api_per_call
    return Cost(
        api_per_1000=1000 * api_per_call,
        own_per_1000=1000 * own_cost_per_call(prices, capacity_calls_per_s),
        capacity_calls_per_s=capacity_calls_per_s,
        break_even_calls_per_s=break_even,
        is_ever_cheaper=break_even <= capacity_calls_per_s,
    )


def api_cost_per_call(prices: Prices, prompt_tokens: float, completion_tokens: float) -> float:
    return (prompt_tokens * prices.api_per_million_in + completion_tokens * prices.api_per_million_out) / 1e6


def own_cost_per_call(prices: Prices, calls_per_s: float) -> float:
    """An idle GPU costs as much as a busy one."""
    return prices.gpu_per_hour / 3600 / calls_per_s


class Curve(NamedTuple):
    """For an SVG of CURVE_WIDTH x CURVE_HEIGHT; x is calls a second, y the cost of 1,000, from 0 at the bottom."""

    own: str
    """Points of a polyline."""
    own_end_y: float
    api_y: float
    break_even_x: float | None
    most_calls_per_s: float
    highest: float


def break_even_curve(prices: Prices, found: Cost) -> Curve:
    most = max(found.capacity_calls_per_s, 1.2 * found.break_even_calls_per_s if found.is_ever_cheaper else 0)
    highest = 3 * max(found.api_per_1000, found.own_per_1000)

    def y(per_1000: float) -> float:
        return round(CURVE_HEIGHT * (1 - min(per_1000 / highest, 1)), 1)

    rates = [most * step / _POINTS for step in range(1, _POINTS + 1)]
    points = [(CURVE_WIDTH * rate / most, y(1000 * own_cost_per_call(prices, rate))) for rate in rates]
    return Curve(
        own=" ".join(f"{x_:.1f},{y_}" for x_, y_ in points),
        own_end_y=points[-1][1],
        api_y=y(found.api_per_1000),
        break_even_x=round(CURVE_WIDTH * found.break_even_calls_per_s / most, 1) if found.is_ever_cheaper else None,
        most_calls_per_s=most,
        highest=highest,
    )
