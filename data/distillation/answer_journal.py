"""Every answer of the teacher, written down as it comes: what was paid for once is never asked again.

One JSON object a line (`data.journal`). An answer is found by all that was sent for it (model, messages, tools,
sampling), not by the address of the endpoint.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from data import journal
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
    def __init__(self, lines: journal.Journal) -> None:
        self._lines = lines
        self.answers = {recorded.key: recorded for recorded in _read(lines)}

    def add(self, recorded: Recorded) -> None:
        self._lines.add(json.dumps(recorded.model_dump(mode="json")))
        self.answers[recorded.key] = recorded


@contextmanager
def open_journal(path: Path) -> Iterator[AnswerJournal]:
    """Raises UserError when the file cannot be written, is no journal, or another run is writing it."""
    with journal.open_journal(path) as lines:
        yield AnswerJournal(lines)


def request_key(body: JsonObject) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _read(lines: journal.Journal) -> Iterator[Recorded]:
    for number, line in enumerate(lines.lines(), start=1):
        try:
            yield Recorded.model_validate_json(line)
        except ValidationError as error:
            fix = "name another --out, or remove the line to have it asked again"
            raise UserError("is no answer of a teacher", where=f"{lines.path}:{number}", fix=fix) from error
