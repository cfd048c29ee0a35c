"""eval.json: everything that one evaluation asked, got and scored, enough to gate on it and to run it again."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError

from data.user_error import UserError
from data.whole_file import write_whole
from eval.changes import Since
from eval.endpoint import Endpoint
from eval.paired import Paired, compare, pairs_of
from eval.scores import Result, Scores, aggregate
from eval.settings import EvalSection, GateSection, Metric, Record
from eval.suite import Kind, Suite


class SuiteFacts(Record):
    paths: list[str]
    sha256: str
    num_rows: int
    num_items: int
    kinds: dict[Kind, int]

    @classmethod
    def of(cls, suite: Suite) -> Self:
        kinds = Counter(item.kind for item in suite.items)
        return cls(
            paths=suite.paths, sha256=suite.sha256, num_rows=suite.num_rows, num_items=len(suite.items), kinds=kinds
        )


class Sampling(Record):
    """What must be equal for two scores to be compared, beside the suite."""

    temperature: float
    seed: int
    max_tokens: int
    tool_choice: str = "auto"
    stream: bool = False
    fuzzy_threshold: float

    @classmethod
    def of(cls, settings: EvalSection) -> Self:
        return cls(
            temperature=settings.temperature,
            seed=settings.seed,
            max_tokens=settings.max_tokens,
            tool_choice=settings.tool_choice,
            fuzzy_threshold=settings.fuzzy_threshold,
        )


class Load(Record):
    """What latency was measured under."""

    concurrency: int
    timeout_s: float
    max_retries: int

    @classmethod
    def of(cls, settings: EvalSection) -> Self:
        return cls(concurrency=settings.concurrency, timeout_s=settings.timeout_s, max_retries=settings.max_retries)


Role = Literal["baseline", "candidate", "other"]


class ModelRun(Record):
    endpoint: Endpoint
    load: Load
    scores: Scores
    results: list[Result]


class Evaluation(Record):
    schema_version: Literal[2] = 2
    created: str
    """UTC, ISO 8601."""
    command: str
    recipe: str = ""
    template: str = ""
    versions: dict[str, str]
    suite: SuiteFacts
    sampling: Sampling
    candidate: ModelRun
    baseline: ModelRun | None = None
    others: list[ModelRun] = []
    """Shown beside the two; the verdict is not about them."""
    gate: GateSection = GateSection()
    since: Since | None = None

    @property
    def runs(self) -> list[ModelRun]:
        """As they stand side by side."""
        return [*([self.baseline] if self.baseline else []), self.candidate, *self.others]

    @property
    def roles(self) -> list[Role]:
        before: list[Role] = ["baseline"] if self.baseline else []
        others: list[Role] = ["other"] * len(self.others)
        return [*before, "candidate", *others]

    @property
    def paired(self) -> Paired | None:
        return self.paired_by("exact")

    def paired_by(self, metric: Metric) -> Paired | None:
        if not self.baseline:
            return None
        return compare(pairs_of(self.candidate.results, self.baseline.results, metric))


def write_json(path: Path, record: Record) -> None:
    write_whole(path, json.dumps(record.as_json(), indent=1) + "\n")


def require_writable(path: Path) -> None:
    """Before the long work, not after it. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"no folder can be made for it: {error.strerror}", where=str(path)) from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError("cannot be written", where=str(path), fix="name a file in a folder that you may write to")


def read_evaluation(path: Path) -> Evaluation:
    """Raises UserError for a file that is missing, foreign, or whose scores do not follow from its results."""
    try:
        evaluation = Evaluation.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="run eval.run first") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(
            f"not an eval.json: key {key!r}: {first['msg']}", where=str(path), fix="run eval.run"
        ) from error
    except ValueError as error:
        raise UserError(f"not JSON: {error}", where=str(path), fix="run eval.run again") from error
    return evaluation.model_copy(
        update={
            "candidate": _counted_again(evaluation, evaluation.candidate, path),
            "baseline": evaluation.baseline and _counted_again(evaluation, evaluation.baseline, path),
            "others": [_counted_again(evaluation, run, path) for run in evaluation.others],
        }
    )


def _counted_again(evaluation: Evaluation, run: ModelRun, path: Path) -> ModelRun:
    """The run with its intervals as they are computed today: an older file may have been written by another rule."""
    scores = aggregate(run.results)
    if _counts(run.scores) != _counts(scores) or len(run.results) != evaluation.suite.num_items:
        what = f"the scores of {run.endpoint.model} do not follow from its results"
        raise UserError(what, where=str(path), fix="run eval.run again")
    return run.model_copy(update={"scores": scores})


def _counts(found: Any) -> Any:
    """All that is counted and not estimated."""
    if isinstance(found, Scores):
        return _counts(found.model_dump())
    if isinstance(found, dict):
        estimated = {"low", "high", "design_effect"} if "n" in found else set()
        return {key: _counts(value) for key, value in found.items() if key not in estimated}
    return [_counts(value) for value in found] if isinstance(found, list) else found


def read_candidate(path: Path, suite: SuiteFacts, sampling: Sampling) -> ModelRun:
    """The candidate of an earlier evaluation, if it was asked the same in the same way."""
    earlier = read_evaluation(path)
    for name, before, now in (
        ("suite", earlier.suite.sha256[:12], suite.sha256[:12]),
        ("sampling", str(earlier.sampling), str(sampling)),
    ):
        if before != now:
            fix = f"score {earlier.candidate.endpoint.model} again with this suite and these settings"
            raise UserError(f"not comparable: its {name} is {before}, this one's {now}", where=str(path), fix=fix)
    return earlier.candidate
