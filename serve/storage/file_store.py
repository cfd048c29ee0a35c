"""The bytes of files, in a folder or under any fsspec URL (s3://bucket/prefix), named by ids that the server made."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from fsspec.core import url_to_fs

from data.user_error import UserError

CHUNK_BYTES = 1 << 20


class FileStore:
    def __init__(self, url: str) -> None:
        try:
            self._system, self._root = url_to_fs(url)
            self._system.makedirs(self._root, exist_ok=True)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(f"cannot be used to keep files: {error}", where=url, fix="check `files`") from error

    def write(self, name: str, source: IO[bytes]) -> int:
        """Keep all of `source` under the name; returns its size. A reader meets the whole of it or nothing.

        Raises OSError where the store refuses, and leaves nothing behind.
        """
        partial = self._path(f".{name}.partial")
        try:
            with self._system.open(partial, "wb") as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                size = file.tell()
            self._system.mv(partial, self._path(name))
        except BaseException:
            with suppress(OSError):
                self._system.rm(partial)
            raise
        return int(size)

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes in pieces. Raises FileNotFoundError, at once."""
        file = self._system.open(self._path(name), "rb")
        return _pieces(file)

    def copy_to(self, name: str, path: Path) -> None:
        """Raises FileNotFoundError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for piece in self.read(name):
                file.write(piece)

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._system.rm(self._path(name))

    def delete_partial(self, older_than_s: float) -> None:
        """What is left of uploads whose process was killed."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        for path in self._system.glob(self._path(".*.partial")):
            with suppress(FileNotFoundError):
                changed = self._system.modified(path)
                if (changed if changed.tzinfo else changed.replace(tzinfo=UTC)) < before:
                    self._system.rm(path)

    def _path(self, name: str) -> str:
        assert "/" not in name and "\\" not in name, name
        return f"{self._root}/{name}"


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
