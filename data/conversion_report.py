"""Figures of a conversion: rows read, kept and refused, causes with their first row, and what kept rows leave out."""

from collections import Counter
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.conversion import Refusal
from data.row import JsonObject
from data.source_records import Source


class FileReport(NamedTuple):
    source: Source
    layout: str
    kept: int
    refused: int

    @property
    def read(self) -> int:
        return self.kept + self.refused


class Report:
    """Figures of all files, filled while they are read."""

    def __init__(self) -> None:
        self.files: list[FileReport] = []
        self.causes: Counter[str] = Counter()
        self.first_of: dict[str, Refusal] = {}
        self.notes: Counter[str] = Counter()

    @property
    def kept(self) -> int:
        return sum(file.kept for file in self.files)

    def refuse(self, refusal: Refusal) -> None:
        self.causes[refusal.cause] += 1
        self.first_of.setdefault(refusal.cause, refusal)

    def as_json(self) -> JsonObject:
        return {
            "files": [
                {"path": str(file.source), **{key: getattr(file, key) for key in ("layout", "kept", "refused", "read")}}
                for file in self.files
            ],
            "refused": {
                cause: {"rows": count, "first": self.first_of[cause]._asdict()}
                for cause, count in self.causes.most_common()
            },
            "notes": dict(sorted(self.notes.items())),
        }

    def print(self) -> None:
        """The figures of each file, then each cause with its first refusal, then what kept rows leave out."""
        console, figures = Console(highlight=False, soft_wrap=True), Table("file", "layout", "read", "kept", "refused")
        for file in self.files:
            counts = (f"{count:,}" for count in (file.read, file.kept, file.refused))
            figures.add_row(Text(str(file.source), overflow="fold"), file.layout, *counts)
        console.print(figures)
        for cause, count in self.causes.most_common():
            line = f"refused, {cause}: {count:,}; the first: {self.first_of[cause]}"
            console.print(line, markup=False, style="yellow")
        for note, count in sorted(self.notes.items()):
            console.print(f"note, {note}: {count:,}", markup=False)
