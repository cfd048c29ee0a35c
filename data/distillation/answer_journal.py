"""Every answer of the teacher, written down as it comes: what was paid for once is never asked again.

One JSON object a line, added at the end. A run that was killed leaves at most one half-written line, which the next run
cuts off. An answer is found by all that was sent for it (model, messages, tools, sampling), not by the address of the
endpoint.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from io import FileIO
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from data.chat_completion import Completion
from data.row import JsonObject
from data.user_error import UserError


class Recorded(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
    completion: Completion
    prompt_tokens: int
    completion_tokens: int
    """Both as they count against the budget: the endpoint's figures, or the most it can have been."""


class AnswerJournal:
    def __init__(self, path: Path, file: FileIO) -> None:
        self._path, self._file = path, file
        self.answers = {recorded.key: recorded for recorded in _read(path, file)}

    def add(self, recorded: Recorded) -> None:
        # ASCII, since half a character could not be cut off cleanly.
        line = json.dumps(recorded.model_dump(mode="json")).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        except OSError as error:
            fix = "make room, and start the same command again"
            raise UserError(f"cannot be written: {error.strerror}", where=str(self._path), fix=fix) from error
        self.answers[recorded.key] = recorded


@contextmanager
def open_journal(path: Path) -> Iterator[AnswerJournal]:
    """Raises UserError when the file cannot be written, is no journal, or another run is writing it."""
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
        yield AnswerJournal(path, file)


def request_key(body: JsonObject) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _read(path: Path, file: FileIO) -> Iterator[Recorded]:
    file.seek(0)
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        file.truncate(len(whole))
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield Recorded.model_validate_json(line)
        except ValidationError as error:
            fix = "name another --out, or remove the line to have it asked again"
            raise UserError("is no answer of a teacher", where=f"{path}:{number}", fix=fix) from error
