"""Rows that stay on disk: each is read from its file again whenever it is asked for."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate, chain
from typing import Protocol, TypeVar, overload

from data.row_lines import LineFile


class HasLine(Protocol):
    @property
    def line(self) -> int: ...


Numbered = TypeVar("Numbered", bound=HasLine)


class StoredRows(Sequence[Numbered]):
    """Some lines of a file as rows; 8 bytes of memory a line, 4 more for each of the rows."""

    def __init__(self, lines: LineFile, numbers: "array[int]", read: Callable[[int, bytes], Numbered]) -> None:
        """`read(number, line)` makes the row of the line of that 1-based number."""
        self._lines, self._numbers, self.read = lines, numbers, read

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Numbered: ...
    @overload
    def __getitem__(self, index: slice) -> list[Numbered]: ...
    def __getitem__(self, index: int | slice) -> Numbered | list[Numbered]:
        if isinstance(index, slice):
            return [self._row(number) for number in self._numbers[index]]
        return self._row(self._numbers[index])

    def __iter__(self) -> Iterator[Numbered]:
        return map(self._row, self._numbers)

    def unread(self) -> Iterator[tuple[int, bytes]]:
        """Number and text of the line of each row: for `read` in another process."""
        return ((number, self._lines[number]) for number in self._numbers)

    @property
    def lines(self) -> "array[int]":
        """The 1-based number of the line of each row."""
        return self._numbers

    def of_line(self, number: int) -> Numbered:
        return self._row(number)

    def without(self, lines: Collection[int]) -> "StoredRows[Numbered]":
        kept = array("I", (number for number in self._numbers if number not in lines))
        return StoredRows(self._lines, kept, self.read)

    def after(self, num_first: int) -> "StoredRows[Numbered]":
        return StoredRows(self._lines, self._numbers[num_first:], self.read)

    def _row(self, number: int) -> Numbered:
        return self.read(number, self._lines[number])


class JoinedRows(Sequence[Numbered]):
    """Rows of several files as if they stood in one."""

    def __init__(self, parts: Sequence[Sequence[Numbered]]) -> None:
        self.parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Numbered: ...
    @overload
    def __getitem__(self, index: slice) -> list[Numbered]: ...
    def __getitem__(self, index: int | slice) -> Numbered | list[Numbered]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        part = bisect_right(self._ends, place)
        return self.parts[part][place - (self._ends[part - 1] if part else 0)]

    def __iter__(self) -> Iterator[Numbered]:
        return chain.from_iterable(self.parts)


def joined(parts: Sequence[Sequence[Numbered]]) -> Sequence[Numbered]:
    """The rows of all parts; those that lie on disk stay there."""
    return parts[0] if len(parts) == 1 else JoinedRows(parts)


def without(rows: Sequence[Numbered], lines: Collection[int]) -> Sequence[Numbered]:
    """The rows of one file but for those of some lines; those that lie on disk stay there."""
    if not lines:
        return rows
    if isinstance(rows, StoredRows):
        return rows.without(lines)
    return [row for row in rows if row.line not in lines]


def after(rows: Sequence[Numbered], num_first: int) -> Sequence[Numbered]:
    """The rows but for so many at their start; those that lie on disk stay there."""
    if isinstance(rows, JoinedRows):
        parts = []
        for part in rows.parts:
            parts.append(after(part, num_first))
            num_first = max(0, num_first - len(part))
        return JoinedRows(parts)
    return rows.after(num_first) if isinstance(rows, StoredRows) else rows[num_first:]
