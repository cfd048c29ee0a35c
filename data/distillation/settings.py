"""The settings of `data.distill`; each field is an option of the same name."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from data.row import JsonObject
from data.settings import Section
from data.strict_json import load_json

EnvironmentName = Literal["mock", "task_service"]


def _object(value: Any) -> Any:
    return load_json(value) if isinstance(value, str) else value


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
    extra_body: Annotated[JsonObject, BeforeValidator(_object)] = {}
    """JSON object laid over every request; null takes a key out. For models that refuse the usual ones:
    {"temperature": null, "max_tokens": null, "max_completion_tokens": 4096}."""
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
        if (self.max_tokens_total or self.max_cost) and not self.most_completion_tokens:
            raise ValueError(
                "--extra-body takes max_tokens out, and a budget needs it: give max_completion_tokens instead"
            )
        return self

    def over(self, request: JsonObject) -> JsonObject:
        """The request with `extra_body` laid over it."""
        return {key: value for key, value in (request | self.extra_body).items() if value is not None}

    @property
    def most_completion_tokens(self) -> int:
        """The limit that each request carries; 0 where it carries none."""
        limits = self.over({"max_tokens": self.max_tokens})
        return int(limits.get("max_completion_tokens") or limits.get("max_tokens") or 0)
