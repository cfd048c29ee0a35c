"""Lines that are written down as they come: a run that was killed leaves at most one half line, which is cut off."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from io import FileIO
from pathlib import Path

from data.user_error import UserError


class Journal:
    def __init__(self, path: Path, file: FileIO) -> None:
        self.path, self._file = path, file

    def lines(self) -> Iterator[bytes]:
        """What earlier runs have written, and the end of the file made whole."""
        num_bytes = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    self._file.truncate(num_bytes)
                    return
                num_bytes += len(line)
                yield line

    def add(self, line: str) -> None:
        """One line, at once on its way to the disk. ASCII, since half a character could not be cut off cleanly."""
        data = line.encode("ascii") + b"\n"
        try:
            if self._file.write(data) != len(data):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        except OSError as error:
            fix = "make room, and start the same command again"
            raise UserError(f"cannot be written: {error.strerror}", where=str(self.path), fix=fix) from error


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Raises UserError when the file cannot be written or another run is writing it. Read `lines` before adding."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    except OSError as error:
        fix = "give --out in a folder that you own"
        raise UserError(f"cannot be written: {error.strerror}", where=str(path), fix=fix) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            fix = "wait for it, or name another --out"
            raise UserError("another run is writing this file", where=str(path), fix=fix) from error
        yield Journal(path, file)
