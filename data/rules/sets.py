"""Rules that no row breaks alone: rows that repeat or contradict each other, and held-out rows that are trained on.

Rows may be more than memory holds: what is kept of each are hashes, and they are on disk.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from data.conversation import calls_of, conversation
from data.near_duplicates import SketchedTexts, sketch
from data.progress_bar import progress_over
from data.reading import NumberedRow
from data.row import JsonObject, Row
from data.row_batches import in_batches
from data.rules.findings import Fault, Finding, place
from data.rules.severities import RuleSeverities
from data.temporary_database import TemporaryDatabase

HASH_BYTES = 8


class Placed(NamedTuple):
    path: Path
    line: int
    fault: Fault


class MarkedTurn(NamedTuple):
    """A trained turn with calls."""

    message: int
    """Its 1-based number in the row."""
    context: bytes
    """Equal where all that stands before the turn is."""
    calls: bytes


class Marks(NamedTuple):
    """What of one row is compared with other rows."""

    path: Path
    has_tools: bool
    same: bytes
    """Equal for rows that are rendered alike, whatever their ids and the spelling of arguments."""
    messages: bytes
    turns: list[MarkedTurn]
    sketch: list[int]
    """Where near copies are looked for, see `near_duplicates`."""
    said: str
    """What near copies say nearly alike; like `sketch` empty where none are looked for."""


class Marked:
    """Rows with the marks of them all, in tables on disk; `place` is that of the row in `rows`."""

    def __init__(self, rows: Sequence[NumberedRow], *, is_sketched: bool) -> None:
        self.rows = rows
        self.database = TemporaryDatabase(
            "CREATE TABLE rows(place INTEGER PRIMARY KEY, file INTEGER, has_tools INTEGER, same BLOB, messages BLOB)",
            "CREATE TABLE turns(place INTEGER, message INTEGER, context BLOB, calls BLOB)",
        )
        self.texts = SketchedTexts()
        files: dict[Path, int] = {}
        with progress_over(_marks(rows, is_sketched), "comparing rows", len(rows)) as all_marks:
            for at, marks in enumerate(all_marks):
                file = files.setdefault(marks.path, len(files))
                values = (at, file, marks.has_tools, marks.same, marks.messages)
                self.database.run("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", *values)
                self.database.insert("INSERT INTO turns VALUES (?, ?, ?, ?)", [(at, *turn) for turn in marks.turns])
                if is_sketched:
                    self.texts.append(marks.sketch, marks.said)


def set_findings(
    rows: Sequence[NumberedRow], held_out: Sequence[NumberedRow], severities: RuleSeverities
) -> list[Finding]:
    """Findings of training rows, of held-out rows, and of the two beside each other."""
    placed: list[Placed] = []
    rules = {"uneven_tools": uneven_tools, "contradiction": contradictions, "near_duplicate": duplicates}
    wanted = {rule for rule in rules if severities.of(rule) != "off"}
    if severities.duplicate != "off":
        wanted.add("near_duplicate")
    if not wanted and not held_out:
        return []
    splits = [Marked(split, is_sketched="near_duplicate" in wanted) for split in (rows, held_out)]
    for marked in splits:
        for rule, faults_of in rules.items():
            if rule in wanted:
                placed += faults_of(marked)
    placed += leaks(*splits)
    return [finding for path, line, fault in placed for finding in place(path, line, [fault], severities)]


def _marks(rows: Sequence[NumberedRow], is_sketched: bool) -> Iterator[Marks]:
    for batch in in_batches(partial(_marks_of_batch, is_sketched), rows):
        yield from batch


def _marks_of_batch(is_sketched: bool, batch: list[NumberedRow]) -> list[Marks]:
    return [_marks_of_row(numbered, is_sketched) for numbered in batch]


def _marks_of_row(numbered: NumberedRow, is_sketched: bool) -> Marks:
    row, talk = numbered.row, conversation(numbered.row)
    texts = [json.dumps(message) for message in talk.messages]
    context = hashlib.blake2b(json.dumps(talk.tools).encode(), digest_size=HASH_BYTES)
    turns = []
    for number, (message, is_trained) in enumerate(zip(talk.messages, talk.is_trained, strict=True), start=1):
        if is_trained and message.get("tool_calls"):
            calls = _hash(json.dumps(message["tool_calls"], sort_keys=True))
            turns.append(MarkedTurn(number, context.digest(), calls))
        context.update(texts[number - 1].encode())
    made = [message["tool_calls"] for message in talk.messages if "tool_calls" in message]
    said = _said(talk.messages) if is_sketched else ""
    sketched = sketch(json.dumps(made, sort_keys=True), said) if is_sketched else []
    return Marks(numbered.path, bool(row.tools), context.digest(), _hash("".join(texts)), turns, sketched, said)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest()


def leaks(training: Marked, held_out: Marked) -> Iterator[Placed]:
    """A held-out row that was trained on measures memory, not skill."""
    if not held_out.rows:
        return
    training.database.run("CREATE INDEX by_messages ON rows(messages)")
    for at, messages in held_out.database.select("SELECT place, messages FROM rows ORDER BY place"):
        ((twin,),) = training.database.select("SELECT max(place) FROM rows WHERE messages = ?", messages)
        if twin is not None:
            numbered = held_out.rows[at]
            reason = f"held-out row is also the training row {_where(training.rows[twin])}"
            yield Placed(numbered.path, numbered.line, Fault("leak", reason, fix="take it out of one of the files"))


def uneven_tools(marked: Marked) -> Iterator[Placed]:
    """File by file: each file may be of another agent."""
    without_tools = """
        SELECT place FROM rows WHERE NOT has_tools AND file IN (SELECT file FROM rows WHERE has_tools) ORDER BY place
    """
    for (at,) in marked.database.select(without_tools):
        fix = "give every row the tools array that production sends"
        fault = Fault("uneven_tools", "the row has no tools, other rows of the file have", key="tools", fix=fix)
        yield Placed(marked.rows[at].path, marked.rows[at].line, fault)


def contradictions(marked: Marked) -> Iterator[Placed]:
    """One input, two different calls: the model can learn neither. Of two answers in text both may be right."""
    otherwise = """
        SELECT first, first_message, place, message FROM (
            SELECT
                place, message, calls, first_value(place) OVER same AS first,
                first_value(message) OVER same AS first_message, first_value(calls) OVER same AS first_calls
            FROM turns WINDOW same AS (PARTITION BY context ORDER BY place, message)
        ) WHERE calls != first_calls ORDER BY place, message
    """
    for first, first_message, at, message in marked.database.select(otherwise):
        numbered = marked.rows[at]
        where = f"{_where(marked.rows[first])}, message {first_message}"
        reason, fix = f"calls otherwise than {where}, after the same messages", "keep the right one of the two"
        yield Placed(numbered.path, numbered.line, Fault("contradiction", reason, message, "tool_calls", fix))


def duplicates(marked: Marked) -> Iterator[Placed]:
    """Rows that are an earlier one again, or nearly."""
    rows = marked.rows
    repeated = """
        SELECT place, first FROM (
            SELECT place, first_value(place) OVER (PARTITION BY same ORDER BY place) AS first FROM rows
        ) WHERE first < place ORDER BY place
    """
    for at, first in marked.database.select(repeated):
        marked.texts.remove(at)
        fault = Fault("duplicate", f"the same row as {_where(rows[first])}", fix="keep one")
        yield Placed(rows[at].path, rows[at].line, fault)
    for pair in marked.texts.alike_pairs():
        later = rows[pair.later]
        reason = f"the same calls in nearly the same words as {_where(rows[pair.first])} ({pair.alike:.0%} alike)"
        fault = Fault("near_duplicate", reason, fix="keep one, or word it differently")
        yield Placed(later.path, later.line, fault)


def _where(numbered: NumberedRow) -> str:
    return f"{numbered.path}:{numbered.line}"


def row_text(row: Row) -> str:
    """Equal for rows that are rendered alike: ids and the spelling of arguments do not count."""
    talk = conversation(row)
    return json.dumps([talk.tools, talk.messages])


def calls_text(row: Row) -> str:
    """Equal for rows that make the same calls."""
    calls = [calls_of(message) for message in row.messages if message.tool_calls]
    return json.dumps(calls, sort_keys=True)


def words(row: Row) -> str:
    """What is said, but for the system: the same instructions are no sign of a copy."""
    return _said(conversation(row).messages)


def _said(messages: list[JsonObject]) -> str:
    texts = (message["content"] for message in messages if message["role"] in ("user", "assistant"))
    return " ".join(" ".join(texts).lower().split())
