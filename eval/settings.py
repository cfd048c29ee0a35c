"""The sections of a recipe that evaluation owns, and the metrics that its thresholds name."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from data.settings import Section

EnvironmentName = Literal["task_service", "coffee_bar", "recorded"]
Metric = Literal[
    "tool_name", "exact", "fuzzy", "free_text", "bfcl_ast", "functional", "valid_json", "schema_valid", "should_call",
    "should_not_call", "answer",
]  # fmt: skip
METRICS: tuple[Metric, ...] = get_args(Metric)
ToolChoice = Literal["auto", "required", "none"]
Normaliser = Literal["case", "whitespace", "punctuation", "unicode", "number", "date", "phone", "unordered", "bfcl"]
"""`case`: letter case. `whitespace`: runs of it, and at the ends. `punctuation`: Unicode category P. `unicode`: NFKC.
`number`: text of a number as the number. `date`: a complete date, or date and time, in any unambiguous spelling, as
ISO 8601. `phone`: E.164. `unordered`: order of a list. `bfcl`: BFCL's own, case and the signs ` ,./-_*^` at once."""
ArgumentPattern = Annotated[str, Field(pattern=r"^[^.]+\..+$")]
"""TOOL.ARGUMENT; `*` for any tool or any argument."""


class Comparison(Section):
    """What counts as the same argument, beyond equal JSON. By default nothing does."""

    normalise: dict[ArgumentPattern, list[Normaliser]] = {}
    """TOOL.ARGUMENT -> what is made alike before its values are compared; the closest pattern counts alone, and the
    key `x-normalise` in the argument's schema where none fits."""
    free_text: list[ArgumentPattern] = []
    """Arguments whose wording is free: `exact` asks only that text is there, `free_text` scores how alike it is."""
    defaults: bool = False
    """An argument that is left out has the default of its schema."""
    phone_region: str = ""
    """For `phone`: where numbers without a country code are from, such as DE."""


class RequestOptions(Section):
    """How a suite wants its items to be asked; None: as the `eval` section says."""

    tool_choice: ToolChoice | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, gt=0)


class EvalSection(Section):
    suites: list[Path] = []
    """Row files, YAML suites or bfcl:CATEGORY; empty: the run's held-out rows."""
    environment: EnvironmentName | None = None
    """Where calls are executed for `functional`; a YAML suite may name its own."""
    limit: int = Field(default=0, ge=0)
    """Rows taken from the head of each row file; 0: all."""
    concurrency: int = Field(default=8, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    """For one attempt at one request."""
    tool_choice: ToolChoice = "auto"
    temperature: float = Field(default=0.0, ge=0, le=2)
    samples: int = Field(default=1, ge=1)
    """How often each item is asked, with seeds that follow each other; the report then tells pass^k."""
    max_tokens: int = Field(default=512, gt=0)
    max_retries: int = Field(default=3, ge=0)
    seed: int = 0
    fuzzy_threshold: float = Field(default=0.8, gt=0, le=1)
    """Smallest similarity of two calls' argument text that `fuzzy` takes as a match, and of free text."""

    def with_options(self, options: RequestOptions) -> Self:
        """The same, with what a suite sets for its own items."""
        own = options.model_dump(exclude_none=True)
        return self.model_copy(update=own) if own else self


# A bound of 1 can never be cleared by an interval, so it would read as "need more data" for ever.
Threshold = Annotated[float, Field(gt=0, lt=1)]


class GateSection(Section):
    thresholds: dict[Metric, Threshold] = {
        "tool_name": 0.95, "exact": 0.95, "valid_json": 0.99, "should_not_call": 0.95,
    }  # fmt: skip
    """Metric -> rate that the lower end of its 95 % interval must reach."""
    latency_p95_ms: float | None = Field(default=None, gt=0)
    """Largest 95th percentile of a whole request, at the concurrency that was measured."""
    max_not_run: float = Field(default=0.0, ge=0, lt=1)
    """Largest share of items that may have ended without an answer."""
    require_baseline: bool = True


class EvalRecipe(BaseModel):
    """What evaluation reads of a recipe; the other sections belong to other programs."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    name: str = ""
    template: str = ""
    eval: EvalSection = EvalSection()
    gate: GateSection = GateSection()


class Record(BaseModel):
    """Base of what is written to eval.json. A file with an unknown key is refused, not half read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
