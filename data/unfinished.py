"""What the long stages of a run have found, written down as it comes: a killed run goes on with it."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from data.journal import open_journal
from data.user_error import UserError
from data.whole_file import write_whole

END = "end"


class Unfinished:
    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        """Without a folder nothing is written down. What lies there under another `key` is thrown away: it was found of
        other inputs."""
        self._folder = folder
        if folder and not ((folder / "key").is_file() and (folder / "key").read_text() == key):
            shutil.rmtree(folder, ignore_errors=True)
            write_whole(folder / "key", key)

    @classmethod
    def named(cls, folder: Path, key: str) -> "Unfinished":
        """In a folder that the user names. Raises UserError for one that holds other things."""
        if folder.exists() and not (folder / "key").is_file() and not (folder.is_dir() and not any(folder.iterdir())):
            raise UserError("holds other things", where=str(folder), fix="name a folder that is not there yet")
        return cls(folder, key)

    def results(self, stage: str, make: Callable[[int], Iterable[list[Any]]]) -> Iterator[list[Any]]:
        """The results of a stage, as lists that are written as JSON; `make(n)` gives all but the first `n` of them."""
        if not self._folder:
            yield from make(0)
            return
        with open_journal(self._folder / f"{stage}.jsonl") as journal:
            num_found = 0
            for found in map(json.loads, journal.lines()):
                if found == END:
                    return
                num_found += 1
                yield found
            for result in make(num_found):
                journal.add(json.dumps(result))
                yield result
            journal.add(json.dumps(END))

    def remove(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


NOTHING_KEPT = Unfinished()
