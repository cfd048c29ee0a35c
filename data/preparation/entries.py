"""A row on its way from a file into the run, and what leaves the way."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple, overload

from data.reading import NumberedRow
from data.row import JsonObject, Row
from data.row_batches import in_batches
from data.rules.sets import calls_text, row_text
from data.scratch_rows import ScratchRows
from data.stored_rows import StoredRows


class StoredRow(NamedTuple):
    """A row of a large file, read again whenever it is asked for; where it was changed, out of a scratch file."""

    path: Path
    line: int
    rows: StoredRows[NumberedRow] | ScratchRows
    number: int
    """By which `rows` finds it."""

    @property
    def row(self) -> Row:
        return self.rows.row_at(self.number) if isinstance(self.rows, ScratchRows) else self.rows.of_line(self.line).row


class Entry(NamedTuple):
    source: str
    """The label of its source."""
    numbered: NumberedRow | StoredRow
    same: bytes
    """Equal for rows that are rendered alike: ids and the spelling of arguments do not count."""
    calls: bytes
    """Equal for rows that make the same calls."""
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
        """The entry with another row, which lies on disk where the first one does."""
        if isinstance(self.numbered, NumberedRow):
            return entry_of(self.source, self.numbered._replace(row=row))
        return entry_of(self.source, self.numbered._replace(rows=_scratch(), number=_scratch().add(row)))


class EntryRows(Sequence[NumberedRow]):
    """The rows of entries, in memory one at a time."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> NumberedRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[NumberedRow]: ...
    def __getitem__(self, index: int | slice) -> NumberedRow | list[NumberedRow]:
        if isinstance(index, slice):
            return [NumberedRow(*entry.key, entry.row) for entry in self._entries[index]]
        entry = self._entries[index]
        return NumberedRow(*entry.key, entry.row)

    def __iter__(self) -> Iterator[NumberedRow]:
        return (NumberedRow(*entry.key, entry.row) for entry in self._entries)


class Dropped(NamedTuple):
    where: str
    cause: str
    detail: str


class StageResult(NamedTuple):
    kept: list[Entry]
    dropped: list[Dropped]
    notes: JsonObject = {}
    """What the stage has to tell beside its counts."""


def entry_of(source: str, numbered: NumberedRow | StoredRow) -> Entry:
    return Entry(source, numbered, *_hashes(numbered.row))


def entries_of(source: str, rows: Sequence[NumberedRow]) -> list[Entry]:
    """An entry for each row; rows that lie on disk stay there."""
    if not isinstance(rows, StoredRows):
        return [entry_of(source, row) for row in rows]
    if not rows:
        return []
    path = rows[0].path
    hashes = chain.from_iterable(in_batches(_hashes_of_batch, rows))
    return [
        Entry(source, StoredRow(path, line, rows, line), *found) for line, found in zip(rows.lines, hashes, strict=True)
    ]


def _hashes_of_batch(rows: list[NumberedRow]) -> list[tuple[bytes, bytes]]:
    return [_hashes(numbered.row) for numbered in rows]


def _hashes(row: Row) -> tuple[bytes, bytes]:
    return _digest(row_text(row)), _digest(calls_text(row))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@cache
def _scratch() -> ScratchRows:
    return ScratchRows()
