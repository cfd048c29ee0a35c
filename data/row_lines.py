"""The lines of a row file, one at a time: a file may be larger than memory."""

import gzip
import zlib
from array import array
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from data.user_error import UserError

GZIP = b"\x1f\x8b"


def row_lines(path: Path) -> Iterator[bytes]:
    """Every line, without its end; plain or gzipped.

    Raises UserError for a file that cannot be read or whose first line is no UTF-8, as no row file's is; one bad byte
    further down is a fault of its line.
    """
    try:
        # Lines end on \n alone: U+2028 and its like are legal inside JSON strings.
        with _opened(path) as file:
            for number, line in enumerate(file):
                if number == 0:
                    line.removeprefix(BOM_UTF8).decode()
                yield _bare(line, is_first=number == 0)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"is not UTF-8 JSONL: {error}", where=str(path), fix="save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error


def is_document(path: Path, num_lines: int) -> bool:
    """Whether a file without a whole object in any line is a list of them, or one over many lines. Of a pipe nobody
    can tell: it is read but once."""
    if not path.is_file():
        return False
    first = next(line for line in map(bytes.strip, row_lines(path)) if line)
    is_list = first.startswith(b"[") and (num_lines == 1 or not first.endswith(b"]"))
    return first in (b"[", b"{") or is_list


class LineFile:
    """Lines that stay on disk, found by their number; 8 bytes of memory for each."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        if isinstance(self._file, gzip.GzipFile):  # packed lines cannot be found by their place
            unpacked = cast(BinaryIO, TemporaryFile())  # noqa: SIM115  # open as long as its lines are asked for
            with self._file:
                copyfileobj(self._file, unpacked)
            self._file = unpacked
        self._starts = array("Q")
        start = 0
        self._file.seek(0)
        for line in self._file:
            self._starts.append(start)
            start += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> bytes:
        """The line of that 1-based number, without its end."""
        self._file.seek(self._starts[number - 1])
        return _bare(self._file.readline(), is_first=number == 1)


def _opened(path: Path) -> BinaryIO:
    """By what it holds: files are packed and named by many hands."""
    file = path.open("rb")
    if file.peek(2)[:2] == GZIP:
        return cast(BinaryIO, _Unpacked(file))
    return file


class _Unpacked(gzip.GzipFile):
    """Closes the packed file, too."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        super().__init__(fileobj=packed)

    def close(self) -> None:
        super().close()
        self._packed.close()


def _bare(line: bytes, *, is_first: bool) -> bytes:
    line = line.removesuffix(b"\n")
    return line.removeprefix(BOM_UTF8) if is_first else line
