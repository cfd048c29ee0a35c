"""How conversations are played."""

from pydantic import Field

from data.section import Section
from eval.settings import EnvironmentName


class PlaySection(Section):
    environment: EnvironmentName = "task_service"
    """Where calls are executed."""
    fault_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of the rows with calls in which one call fails and would succeed when made again."""
    max_turns: int = Field(default=10, gt=0)
    """Requests for one user message; a model that still calls after them has looped."""
    limit: int = Field(default=0, ge=0)
    """Rows taken from the head of each file; 0: all."""
    concurrency: int = Field(default=8, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    """For one attempt at one request."""
    max_tokens: int = Field(default=512, gt=0)
    max_retries: int = Field(default=3, ge=0)
    seed: int = 0
    """Of the sampling and of the faults drawn."""
