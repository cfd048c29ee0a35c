"""A row on its way from a file into the run, and what leaves the way."""

from pathlib import Path
from typing import NamedTuple

from data.reading import NumberedRow
from data.row import JsonObject, Row


class Entry(NamedTuple):
    source: str
    """The label of its source."""
    numbered: NumberedRow
    num_tokens: int = 0
    """Known once it has been rendered."""
    num_trained: int = 0

    @property
    def row(self) -> Row:
        return self.numbered.row

    @property
    def where(self) -> str:
        return f"{self.numbered.path}:{self.numbered.line}"

    @property
    def key(self) -> tuple[Path, int]:
        """Of the line that it came from; a row that is taken twice keeps it."""
        return self.numbered.path, self.numbered.line

    def with_row(self, row: Row) -> "Entry":
        return self._replace(numbered=self.numbered._replace(row=row))


class Dropped(NamedTuple):
    where: str
    cause: str
    detail: str


class StageResult(NamedTuple):
    kept: list[Entry]
    dropped: list[Dropped]
    notes: JsonObject = {}
    """What the stage has to tell beside its counts."""
