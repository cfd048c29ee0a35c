"""Tables that are gone when the program ends: on disk as soon as they are large, so that memory does not grow."""

import sqlite3
from collections.abc import Iterable, Iterator
from tempfile import gettempdir
from typing import Any

from data.user_error import UserError

CACHE_KIB = 8000  # of pages, and of what is sorted before it goes to disk


class TemporaryDatabase:
    """Of SQLite, without its safety: no other program sees it. Every method raises UserError for a full disk."""

    def __init__(self, *tables: str) -> None:
        """`tables`: CREATE TABLE statements."""
        self._connection = sqlite3.connect("", isolation_level=None)
        for statement in (f"PRAGMA cache_size = -{CACHE_KIB}", "PRAGMA journal_mode = OFF", "BEGIN", *tables):
            self.run(statement)

    def run(self, statement: str, *values: object) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise _refused(error) from error

    def insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _refused(error) from error

    def select(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Its rows, one by one."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise _refused(error) from error


def _refused(error: sqlite3.Error) -> UserError:
    fix = "make room, or name another folder in TMPDIR"
    return UserError(f"a temporary file cannot be written: {error}", where=gettempdir(), fix=fix)
