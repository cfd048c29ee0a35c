"""What a distillation has given: rows in the order of the requests, and everything else by cause."""

import json
from collections import Counter
from pathlib import Path
from typing import TextIO

from data.distillation.playing import Played
from data.distillation.request_file import Request, RequestFile
from data.distillation.sample import Sample
from data.distillation.selection import choose
from data.whole_file import whole_file


class Result:
    """Counts filled by `write`."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        """Rows by criterion."""
        self.left: Counter[str] = Counter()
        """Samples that are no row, by cause."""
        self.first_of: dict[str, str] = {}
        """For each cause but `spare`, the first sample's place and reason."""
        self.num_open = 0
        """Requests that have samples still to be played."""

        self.num_reasoning = 0
        """Answers of kept samples whose reasoning is left out."""

    @property
    def num_rows(self) -> int:
        return sum(self.kept.values())

    def write(self, file: RequestFile, played: Played, out: Path, dropped: Path) -> None:
        """Both files are written whole or not at all; without a row there is no OUT."""
        rows = []
        with whole_file(dropped) as dropped_file:
            for request in file.repeated:
                self._leave(dropped_file, request, None, "repeated", "the same request as an earlier one")
            for request, samples in zip(file.requests, played.samples, strict=True):
                choice = choose(samples)
                self.num_open += not choice.is_final
                if choice.kept and choice.criterion:
                    self.kept[choice.criterion] += 1
                    self.num_reasoning += choice.kept.num_reasoning
                    rows.append(choice.kept.row)
                for sample in choice.left:
                    if choice.is_final or sample.cause:  # a sound one may still become the row
                        self._leave(dropped_file, request, sample, sample.cause, sample.why)
        if rows:
            with whole_file(out) as out_file:
                out_file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def _leave(self, file: TextIO, request: Request, sample: Sample | None, cause: str, why: str) -> None:
        self.left[cause] += 1
        number = sample.number if sample else None
        if cause != "spare":
            where = request.where if number is None else f"{request.where}, sample {number}"
            self.first_of.setdefault(cause, f"{where}: {why}")
        record = {
            "path": str(request.path), "line": request.line, "sample": number, "cause": cause, "why": why,
            "messages": sample.row["messages"][len(request.row.messages) :] if sample else [],
        }  # fmt: skip
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
