"""Rows that an evaluation of the training files got wrong, found by the ids of its items (FILE:LINE#MESSAGE)."""

import json
import random
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from data.conversation import calls_of, content_text
from data.preparation.amounts import take
from data.preparation.entries import Dropped, Entry, StageResult
from data.preparation.settings import Hard
from data.row import JsonObject
from data.user_error import UserError


class _ExpectedCall(BaseModel):
    name: str
    arguments: JsonObject


class _Score(BaseModel):
    verdict: Literal["right", "wrong", "unreadable", "not_run"]


class _Result(BaseModel):
    id: str
    expected_calls: list[_ExpectedCall]
    expected_text: str
    score: _Score


class _Run(BaseModel):
    results: list[_Result]


class _Evaluation(BaseModel):
    """What is needed of the eval.json that `eval.run` writes."""

    candidate: _Run


class _Place(NamedTuple):
    file: Path
    line: int
    message: int


def read_hard_keys(path: Path, train: list[Entry], held_out: list[Path]) -> set[tuple[Path, int]]:
    """Keys of the training rows that the evaluation has an item of wrong or unreadable.

    Raises UserError for another file than an eval.json, for one that asked `held_out` rows or others that are not
    training rows, and for one that asked an earlier version of the training files.
    """
    files = {file: file.resolve() for file in {entry.numbered.path for entry in train}}
    rows = {(files[entry.numbered.path], entry.numbered.line): entry for entry in train}
    refused = {file.resolve() for file in held_out}
    hard = set()
    for result in _read(path).candidate.results:
        file, line, message = _parse_id(result.id, path)
        if file in refused or file not in files.values():
            kind = "held-out rows" if file in refused else "a file that is no training file of this recipe"
            what = f"it was made on {kind} ({file.name}), and only rows of training files may be chosen"
            raise UserError(what, where=str(path), fix="run eval.run on the training files")
        entry = rows.get((file, line))
        if entry is None or not _is_same(result, entry, message):
            what = f"{result.id} is not what the file now has there"
            raise UserError(what, where=str(path), fix="run eval.run on the training files again")
        if result.score.verdict in ("wrong", "unreadable"):
            hard.add(entry.key)
    if not hard:
        raise UserError("it got no training row wrong", where=str(path), fix="leave data.hard out")
    return hard


def take_hard(train: list[Entry], keys: set[tuple[Path, int]], settings: Hard, seed: int) -> StageResult:
    """Hard rows `weight` times, then a random `rest` of the others."""
    rng = random.Random(f"{seed} hard")
    hard = [entry for entry in train if entry.key in keys]
    others = [entry for entry in train if entry.key not in keys]
    chosen = take(hard, round(settings.weight * len(hard)), rng)
    rest = take(others, round(settings.rest * len(others)), rng)
    dropped = [Dropped(entry.where, "hard", "not drawn from the hard rows") for entry in chosen.left]
    dropped += [Dropped(entry.where, "hard", "not among the rows that the evaluation got wrong") for entry in rest.left]
    notes = {"hard_rows": len(hard), "taken": len(chosen.taken), "others": len(rest.taken)}
    return StageResult(chosen.taken + rest.taken, dropped, notes)


def _read(path: Path) -> _Evaluation:
    try:
        return _Evaluation.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check data.hard.eval") from error
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        what = f"not an eval.json: key {key!r}: {error.errors()[0]['msg']}"
        raise UserError(what, where=str(path), fix="give what eval.run wrote") from error
    except ValueError as error:
        raise UserError(f"not JSON: {error}", where=str(path), fix="give what eval.run wrote") from error


def _parse_id(item_id: str, path: Path) -> _Place:
    try:
        place, message = item_id.rsplit("#", 1)
        file, line = place.rsplit(":", 1)
        return _Place(Path(file).resolve(), int(line), int(message))
    except ValueError as error:
        what = f"item {item_id!r} names no row as FILE:LINE#MESSAGE"
        raise UserError(what, where=str(path), fix="give what eval.run wrote") from error


def _is_same(result: _Result, entry: Entry, number: int) -> bool:
    messages = entry.row.messages
    if not 0 < number <= len(messages):
        return False
    message = messages[number - 1]
    expected: list[tuple[str, Any]] = [(call.name, call.arguments) for call in result.expected_calls]
    text = content_text(message.content) or message.refusal or ""
    return calls_of(message) == expected and text == result.expected_text
