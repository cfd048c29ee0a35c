"""What a training run takes in tokens, and in GPU-hours at a speed that the user gives: nothing here knows a GPU."""

from typing import NamedTuple


class RunCost(NamedTuple):
    epochs: float
    tokens: int
    """Of the rows alone, without padding; what rows share is counted in each of them."""
    trained_tokens: int
    """Those that carry loss."""
    tokens_per_second: float | None
    gpu_hours: float | None

    @classmethod
    def of(cls, epochs: float, tokens: int, trained_tokens: int, tokens_per_second: float | None = None) -> "RunCost":
        """`tokens` and `trained_tokens` are those of one epoch."""
        tokens, trained_tokens = round(epochs * tokens), round(epochs * trained_tokens)
        hours = tokens / tokens_per_second / 3600 if tokens_per_second else None
        return cls(epochs, tokens, trained_tokens, tokens_per_second, hours)
