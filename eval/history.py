"""The runs of one folder, in order: history.jsonl beside eval.json, and what changed since the last of them."""

import json
from pathlib import Path

from data.user_error import UserError
from data.whole_file import write_whole
from eval.changes import Since, changes
from eval.evaluation import Evaluation, read_evaluation
from eval.settings import METRICS, Metric, Record


class PastRun(Record):
    """One line."""

    created: str
    model: str
    suite_sha256: str
    weights_sha256: str
    """Of the adapter, where the endpoint tells; "" elsewhere."""
    rates: dict[Metric, float]
    latency_p95_ms: float | None


def since_last_run(path: Path, evaluation: Evaluation) -> Since | None:
    """Against what `path` holds before it is written anew; None where it is of another suite, or nothing of ours."""
    try:
        earlier = read_evaluation(path)
    except UserError:
        return None
    if earlier.suite.sha256 != evaluation.suite.sha256 or earlier.sampling != evaluation.sampling:
        return None
    found = changes(earlier.candidate.results, evaluation.candidate.results)
    return Since(created=earlier.created, model=earlier.candidate.endpoint.model, changes=found)


def note_run(path: Path, evaluation: Evaluation) -> None:
    """Adds the run to the history beside `path`."""
    run = evaluation.candidate
    past = PastRun(
        created=evaluation.created,
        model=run.endpoint.model,
        suite_sha256=evaluation.suite.sha256,
        weights_sha256=str(run.endpoint.model_facts.get("adapter_sha256", "")),
        rates={name: rate for name in METRICS if (rate := run.scores.metrics[name].rate) is not None},
        latency_p95_ms=run.scores.latency_p95_ms,
    )
    history = history_path(path)
    before = history.read_text() if history.is_file() else ""
    write_whole(history, before + json.dumps(past.as_json()) + "\n")


def read_history(path: Path) -> list[PastRun]:
    """Of `path`'s folder, the first first. Raises UserError for a line that is none."""
    history = history_path(path)
    lines = history.read_text().splitlines() if history.is_file() else []
    runs = []
    for number, line in enumerate(lines, start=1):
        try:
            runs.append(PastRun.model_validate_json(line))
        except ValueError as error:
            raise UserError("is no run", where=f"{history}:{number}", fix="remove the line") from error
    return runs


def history_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.history.jsonl")
