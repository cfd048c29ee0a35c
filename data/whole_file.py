"""Files that are written whole or not at all: a reader never meets half of one, whenever the writer was killed."""

import os
from pathlib import Path

from data.user_error import UserError


def write_whole(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write `text` as UTF-8, making the folders it needs; what stood there before stands until all is written.

    `errors` is how to take half a surrogate pair, which a model may have written. Raises UserError where the disk
    refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8", errors=errors)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror}", where=str(path), fix="give a path in a folder that you own"
        ) from error
