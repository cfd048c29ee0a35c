"""Files that are written whole or not at all: a reader never meets half of one, whenever the writer was killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def whole_file(path: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """A file to write piece by piece, as `write_whole` writes it; what ends the block early leaves no trace of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", encoding="utf-8", errors=errors) as file:
                yield file
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", where=str(path), fix="give a path in a folder that you own"
        ) from error
