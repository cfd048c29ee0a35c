"""The answers of a run that is under way: beside NAME.json, as NAME.answers.jsonl, until NAME.json holds them all.

An answer is found by all that was sent for it (model, messages, tools, sampling) and by the weights, as far as the
endpoint tells them; not by its address. What ended without an answer is not written down, so it is asked again.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.journal import Journal, open_journal
from data.user_error import UserError
from eval.endpoint import Endpoint
from eval.reply import Reply
from eval.settings import Record


class _Line(Record):
    key: str
    reply: Reply


class AnswerLog:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._earlier: dict[str, list[Reply]] = defaultdict(list)
        for line in _read(journal):
            self._earlier[line.key].append(line.reply)
        self.num_earlier = sum(map(len, self._earlier.values()))

    def take(self, key: str) -> Reply | None:
        """An answer that was given before. Each is handed out once: a suite may hold the same item twice."""
        replies = self._earlier.get(key)
        return replies.pop(0) if replies else None

    def add(self, key: str, reply: Reply) -> None:
        self._journal.add(json.dumps({"key": key, "reply": reply.model_dump()}))


@contextmanager
def open_answer_log(out: Path, *, restart: bool = False) -> Iterator[AnswerLog]:
    """The log of the run that writes `out`; `restart` forgets what an earlier one was told. Raises UserError."""
    path = log_path(out)
    if restart:
        path.unlink(missing_ok=True)
    with open_journal(path) as journal:
        yield AnswerLog(journal)


def log_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.answers.jsonl")


def weights_sha256(endpoint: Endpoint) -> bytes:
    """Of all that the endpoint tells about what it serves."""
    return hashlib.sha256(json.dumps(endpoint.model_facts, sort_keys=True).encode()).digest()


def answer_key(weights: bytes, request: bytes) -> str:
    return hashlib.sha256(weights + request).hexdigest()


def _read(journal: Journal) -> Iterator[_Line]:
    for number, line in enumerate(journal.lines(), start=1):
        try:
            # json.loads takes half a surrogate pair, which a model may have written.
            yield _Line.model_validate(json.loads(line))
        except ValueError as error:
            fix = "remove it, or start anew with --restart"
            raise UserError("is no answer of a run", where=f"{journal.path}:{number}", fix=fix) from error
