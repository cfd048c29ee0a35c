"""Rows of a job that training leaves out, which OpenAI would cut: told by line, and too many of them fail the job."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from serve.jobs.ending import Failure

MAX_LINES = 20


class LeftOut(NamedTuple):
    num_rows: int
    """Of the training file."""
    lines: list[int]
    """1-based, of the rows left out."""
    causes: dict[str, int]

    @property
    def message(self) -> str:
        causes = ", ".join(f"{count} {cause}" for cause, count in self.causes.items())
        lines = ", ".join(map(str, self.lines[:MAX_LINES]))
        return f"{len(self.lines)} of {self.num_rows} training rows are left out ({causes}): lines {lines}"

    def failure(self, max_share: float) -> Failure | None:
        if len(self.lines) <= max_share * self.num_rows:
            return None
        message = f"{self.message}; at most {max_share:.0%} may be: shorten them, or raise local.max_length"
        return Failure("invalid_training_file", message, "training_file")


def left_out(folder: Path) -> LeftOut | None:
    """Of a run folder; None before its rows are written, which they are last of all."""
    rows = folder / "rows"
    if not (rows / "train.jsonl").is_file():
        return None
    counts: dict[str, Any] = json.loads((rows / "summary.json").read_text())["train"]
    dropped = [json.loads(line) for line in (rows / "dropped.jsonl").read_text().splitlines()]
    mine = [each["where"].rpartition(":") for each in dropped]
    lines = [int(line) for path, _, line in mine if Path(path).name.startswith("training")]
    return LeftOut(counts["rows"] + len(lines), lines, counts["dropped"])
