"""Files and folders written whole or not at all: a reader never meets half of one, whenever the writer was killed."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from data.user_error import UserError


def write_whole(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write `text` as UTF-8, making the folders it needs; what stood there before stands until all is written.

    `errors` is how to take half a surrogate pair, which a model may have written. Raises UserError where the disk
    refuses.
    """
    with whole_file(path, errors=errors) as file:
        file.write(text)


def refuse_overwriting(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Raises UserError where an output is an input or another output, behind whatever links."""
    # not `Path.resolve`, which raises for a link to itself
    taken = {os.path.realpath(path): "is also an input" for path in inputs if path}
    for path in filter(None, outputs):
        if why := taken.get(os.path.realpath(path)):
            raise UserError(f"would be overwritten, as it {why}", where=str(path), fix="name another")
        taken[os.path.realpath(path)] = "is also another output"


@contextmanager
def whole_file(path: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """A file to write piece by piece, as `write_whole` writes it; what ends the block early leaves no trace of it.

    Only the disk's refusal of this file becomes a UserError: other OSErrors of the block leave it as they are.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _ToldFile(path, partial, errors)
    try:
        yield file
        with _telling(path):
            file.close()
            partial.replace(path)
    finally:
        with suppress(OSError):  # what is still buffered is thrown away
            file.close()
        partial.unlink(missing_ok=True)


class _ToldFile(TextIOWrapper):
    """Tells a write that the disk refuses by the name that the file is to have."""

    def __init__(self, path: Path, partial: Path, errors: str) -> None:
        super().__init__(partial.open("wb"), encoding="utf-8", errors=errors)
        self._path = path

    def write(self, text: str, /) -> int:
        with _telling(self._path):
            return super().write(text)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", where=str(path), fix="give a path in a folder that you own"
        ) from error


def put_folder(written: Path, folder: Path) -> None:
    """Give a finished folder its name; what stood there before goes, however large, only when this one is in place."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    written.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
