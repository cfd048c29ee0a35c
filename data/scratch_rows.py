"""Rows that were changed and are more than memory should hold: kept in a file that is gone when the program ends."""

from tempfile import TemporaryFile

from data.row import Row


class ScratchRows:
    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  # open as long as its rows are asked for
        self._end = 0

    def add(self, row: Row) -> int:
        """The number by which `row_at` finds the row again."""
        number = self._end
        self._file.seek(number)
        self._end += self._file.write(row.model_dump_json(exclude_unset=True).encode() + b"\n")
        return number

    def row_at(self, number: int) -> Row:
        self._file.seek(number)
        return Row.model_validate_json(self._file.readline())
