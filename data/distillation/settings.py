"""The settings of `data.distill`; each field is an option of the same name."""

from typing import Literal

from pydantic import Field, model_validator

from data.settings import Section

EnvironmentName = Literal["mock", "task_service"]


class DistillSection(Section):
    environment: EnvironmentName = "mock"
    """Where the teacher's calls are executed: mock tools made from the schemas, or the task API whose state stands in
    the system text."""
    samples: int = Field(default=3, gt=0)
    """Times that each request is played; with 1 there is nothing to agree with."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    seed: int = Field(default=0, ge=0)
    """Sample i is asked with seed + i, where the endpoint heeds seeds."""
    max_turns: int = Field(default=8, gt=0)
    """Answers of the teacher in one sample, of which the last must be plain text."""
    max_tokens: int = Field(default=1024, gt=0)
    """For one answer."""
    concurrency: int = Field(default=8, gt=0)
    """Samples played at a time."""
    timeout_s: float = Field(default=120.0, gt=0)
    """For one attempt at one answer."""
    max_retries: int = Field(default=5, ge=0)
    """The SDK's, with growing pauses, or those that the endpoint asks for (Retry-After)."""
    max_tokens_total: int | None = Field(default=None, gt=0)
    """Budget of prompt and completion tokens, all runs for the same OUT together."""
    max_cost: float | None = Field(default=None, gt=0)
    """Budget in the currency of the prices, all runs for the same OUT together."""
    price_in: float | None = Field(default=None, ge=0)
    """Of a million prompt tokens."""
    price_out: float | None = Field(default=None, ge=0)
    """Of a million completion tokens."""

    @model_validator(mode="after")
    def _fits_together(self) -> "DistillSection":
        if self.max_cost is not None and (self.price_in is None or self.price_out is None):
            raise ValueError("--max-cost needs --price-in and --price-out, the prices of a million tokens")
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(
                f"--temperature 0 makes the {self.samples} samples of --samples alike, so that their agreement says"
                " nothing: raise the one, or set the other to 1"
            )
        return self
