"""What an eval.json of `eval.run` tells about the rows it asked: which answers were wrong, and how."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from data.conversation import calls_of, content_text
from data.row import JsonObject, Row
from data.user_error import UserError


class ExpectedCall(BaseModel):
    name: str
    arguments: JsonObject


class GivenCall(BaseModel):
    name: str
    arguments: str
    """As the model wrote them."""


class Answer(BaseModel):
    content: str = ""
    calls: list[GivenCall] = []
    finish_reason: str | None = None


class Score(BaseModel):
    verdict: Literal["right", "wrong", "unreadable", "not_run"]
    failure: str | None = None
    """What went wrong, in a word of `eval.matching`."""


class Place(NamedTuple):
    file: Path
    """Resolved."""
    line: int
    message: int
    """Both 1-based."""


class EvaluatedItem(BaseModel):
    id: str
    """FILE:LINE#MESSAGE, and of several samples ~SAMPLE after it"""
    expected_calls: list[ExpectedCall]
    expected_text: str
    answer: Answer = Answer()
    score: Score

    @property
    def place(self) -> Place:
        """Raises ValueError for an id that names no row."""
        where, message = self.id.rsplit("#", 1)
        file, line = where.rsplit(":", 1)
        return Place(Path(file).resolve(), int(line), int(message.partition("~")[0]))

    @property
    def is_wrong(self) -> bool:
        return self.score.verdict in ("wrong", "unreadable")

    def is_of(self, row: Row) -> bool:
        """Whether the row still has there what was expected."""
        number = self.place.message
        if not 0 < number <= len(row.messages):
            return False
        message = row.messages[number - 1]
        expected: list[tuple[str, Any]] = [(call.name, call.arguments) for call in self.expected_calls]
        text = content_text(message.content) or message.refusal or ""
        return calls_of(message) == expected and text == self.expected_text


class _Run(BaseModel):
    results: list[EvaluatedItem]


class _Evaluation(BaseModel):
    """What is needed here; the file holds more."""

    candidate: _Run


def read_evaluated(path: Path) -> list[EvaluatedItem]:
    """The candidate's items, each of which names a row. Raises UserError for another file than an eval.json."""
    fix = "give what eval.run wrote"
    try:
        items = _Evaluation.model_validate(json.loads(path.read_text())).candidate.results
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        what = f"not an eval.json: key {key!r}: {error.errors()[0]['msg']}"
        raise UserError(what, where=str(path), fix=fix) from error
    except ValueError as error:
        raise UserError(f"not JSON: {error}", where=str(path), fix=fix) from error
    for item in items:
        try:
            item.place  # noqa: B018, asked here, so that no later use can fail
        except ValueError as error:
            what = f"item {item.id!r} names no row as FILE:LINE#MESSAGE"
            raise UserError(what, where=str(path), fix=fix) from error
    return items
