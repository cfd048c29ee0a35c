"""The hyperparameters of a job, and what "auto" stands for."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from data.section import Section

Auto = Literal["auto"]
ROWS_FOR_LARGER_BATCH = 100


def _whole(low: int, high: int) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value == "auto" or (type(value) is int and low <= value <= high):
            return value
        raise PydanticCustomError("range", f'Input should be "auto" or a whole number from {low} to {high}')

    return BeforeValidator(check)


def _number(high: float | None) -> BeforeValidator:
    def check(value: Any) -> Any:
        is_number = type(value) in (int, float) and 0 < value < float("inf")
        if value == "auto" or (is_number and (high is None or value <= high)):
            return value
        upper = f" and at most {high:g}" if high else ""
        raise PydanticCustomError("range", f'Input should be "auto" or a number above 0{upper}')

    return BeforeValidator(check)


class Supervised(Section):
    n_epochs: Annotated[int | Auto, _whole(1, 50)] = "auto"
    batch_size: Annotated[int | Auto, _whole(1, 256)] = "auto"
    """Of the optimiser: how many rows one step learns from, on however many passes through the GPU."""
    learning_rate_multiplier: Annotated[float | Auto, _number(None)] = "auto"
    """Of the base's own rate, which is the `sft.learning_rate` of its recipe."""


class Dpo(Supervised):
    beta: Annotated[float | Auto, _number(2)] = "auto"


def auto_epochs(num_rows: int) -> int:
    """As OpenAI's cookbook does it: 3, more for few rows (up to 25), fewer for very many."""
    if 3 * num_rows < 100:
        return min(25, 100 // num_rows)
    return max(1, 25_000 // num_rows) if 3 * num_rows > 25_000 else 3


def auto_batch_size(num_rows: int) -> int:
    """0.2 % of the rows as OpenAI once documented, and 4 at least where there are a hundred."""
    share = min(256, max(1, round(0.002 * num_rows)))
    return max(4, share) if num_rows >= ROWS_FOR_LARGER_BATCH else share


def resolved(method: dict[str, Any], num_rows: int) -> dict[str, Any]:
    """The method with a number wherever it says "auto"."""
    numbers = {
        "n_epochs": auto_epochs(num_rows), "batch_size": auto_batch_size(num_rows), "learning_rate_multiplier": 1.0,
        "beta": 0.1,
    }  # fmt: skip
    kind = method["type"]
    given = method[kind]["hyperparameters"]
    numbered = {key: numbers[key] if value == "auto" else value for key, value in given.items()}
    return {"type": kind, kind: {"hyperparameters": numbered}}
