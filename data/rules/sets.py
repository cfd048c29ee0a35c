"""Rules that no row breaks alone: rows that repeat or contradict each other, and held-out rows that are trained on.

Rows may be more than memory holds: what is kept of each is hashes.
"""

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.conversation import calls_of, conversation
from data.near_duplicates import NUM_BANDS, alike_pairs, hash64, sketch
from data.progress_bar import progress_over
from data.reading import NumberedRow
from data.row import JsonObject, Row
from data.row_batches import in_batches
from data.rules.findings import Fault, Finding, place
from data.rules.severities import RuleSeverities
from data.stored_texts import StoredTexts


class Placed(NamedTuple):
    path: Path
    line: int
    fault: Fault


class Marks(NamedTuple):
    """What of one row is compared with other rows."""

    path: Path
    has_tools: bool
    same: int
    """Equal for rows that are rendered alike, whatever their ids and the spelling of arguments."""
    messages: int
    turns: list[tuple[int, int, int]]
    """Of each trained turn with calls: all that stands before it, its calls, the 1-based number of its message."""
    sketch: list[int]
    """Where near copies are looked for, see `near_duplicates`."""
    said: str
    """What near copies say nearly alike; like `sketch` empty where none are looked for."""


class Marked:
    """Rows with the marks of them all, about 100 bytes a row."""

    def __init__(self, rows: Sequence[NumberedRow], *, is_sketched: bool) -> None:
        self.rows = rows
        self.paths: list[Path] = []
        self.files, self.has_tools = array("I"), bytearray()
        self.same, self.messages, self.sketches = array("Q"), array("Q"), array("I")
        self.said = StoredTexts()
        self.contexts, self.calls, self.turn_rows, self.turn_messages = array("Q"), array("Q"), array("I"), array("I")
        numbers: dict[Path, int] = {}
        with progress_over(_marks(rows, is_sketched), "comparing rows", len(rows)) as all_marks:
            for at, marks in enumerate(all_marks):
                self.files.append(numbers.setdefault(marks.path, len(numbers)))
                self.has_tools.append(marks.has_tools)
                self.same.append(marks.same)
                self.messages.append(marks.messages)
                self.sketches.extend(marks.sketch)
                self.said.append(marks.said)
                for context, calls, message in marks.turns:
                    self.contexts.append(context)
                    self.calls.append(calls)
                    self.turn_rows.append(at)
                    self.turn_messages.append(message)
        self.paths = list(numbers)


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
    context = hashlib.blake2b(json.dumps(talk.tools).encode(), digest_size=8)
    turns = []
    for number, (message, is_trained) in enumerate(zip(talk.messages, talk.is_trained, strict=True), start=1):
        if is_trained and message.get("tool_calls"):
            calls = hash64(json.dumps(message["tool_calls"], sort_keys=True).encode())
            turns.append((_number(context.digest()), calls, number))
        context.update(texts[number - 1].encode())
    made = [message["tool_calls"] for message in talk.messages if "tool_calls" in message]
    said = _said(talk.messages) if is_sketched else ""
    sketched = sketch(json.dumps(made, sort_keys=True), said) if is_sketched else []
    messages = hash64("".join(texts).encode())
    return Marks(numbered.path, bool(row.tools), _number(context.digest()), messages, turns, sketched, said)


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little")


def leaks(training: Marked, held_out: Marked) -> Iterator[Placed]:
    """A held-out row that was trained on measures memory, not skill."""
    wanted = set(held_out.messages)
    twins = {messages: at for at, messages in enumerate(training.messages) if messages in wanted}
    for at, messages in enumerate(held_out.messages):
        if messages in twins:
            twin, numbered = training.rows[twins[messages]], held_out.rows[at]
            reason, fix = f"held-out row is also the training row {_where(twin)}", "take it out of one of the files"
            yield Placed(numbered.path, numbered.line, Fault("leak", reason, fix=fix))


def uneven_tools(marked: Marked) -> Iterator[Placed]:
    """File by file: each file may be of another agent."""
    with_tools = {file for file, has_tools in zip(marked.files, marked.has_tools, strict=True) if has_tools}
    for at, (file, has_tools) in enumerate(zip(marked.files, marked.has_tools, strict=True)):
        if not has_tools and file in with_tools:
            fix = "give every row the tools array that production sends"
            fault = Fault("uneven_tools", "the row has no tools, other rows of the file have", key="tools", fix=fix)
            yield Placed(marked.paths[file], marked.rows[at].line, fault)


def contradictions(marked: Marked) -> Iterator[Placed]:
    """One input, two different calls: the model can learn neither. Of two answers in text both may be right."""
    firsts = _first_equal(marked.contexts)
    for later in _repeated(firsts):
        first = int(firsts[later])
        if marked.calls[first] != marked.calls[later]:
            earlier, numbered = marked.rows[marked.turn_rows[first]], marked.rows[marked.turn_rows[later]]
            where = f"{_where(earlier)}, message {marked.turn_messages[first]}"
            reason, fix = f"calls otherwise than {where}, after the same messages", "keep the right one of the two"
            fault = Fault("contradiction", reason, marked.turn_messages[later], "tool_calls", fix)
            yield Placed(numbered.path, numbered.line, fault)


def duplicates(marked: Marked) -> Iterator[Placed]:
    """Rows that are an earlier one again, or nearly."""
    rows, firsts = marked.rows, _first_equal(marked.same)
    for at in _repeated(firsts):
        fault = Fault("duplicate", f"the same row as {_where(rows[firsts[at]])}", fix="keep one")
        yield Placed(rows[at].path, rows[at].line, fault)
    distinct = np.flatnonzero(firsts == np.arange(len(firsts)))
    sketches = np.asarray(marked.sketches, np.uint32).reshape(-1, NUM_BANDS)
    if len(distinct) < len(sketches):  # spares most files a copy of 32 bytes a row
        sketches = sketches[distinct]
    for pair in alike_pairs(sketches, lambda place: marked.said[distinct[place]]):
        earlier, later = rows[distinct[pair.first]], rows[distinct[pair.later]]
        reason = f"the same calls in nearly the same words as {_where(earlier)} ({pair.alike:.0%} alike)"
        fault = Fault("near_duplicate", reason, fix="keep one, or word it differently")
        yield Placed(later.path, later.line, fault)


def _where(numbered: NumberedRow) -> str:
    return f"{numbered.path}:{numbered.line}"


def _first_equal(hashes: "array[int]") -> NDArray[np.int64]:
    """For each hash the place of the first that equals it."""
    _, first, which = np.unique(np.asarray(hashes, np.uint64), return_index=True, return_inverse=True)
    places: NDArray[np.int64] = first[which]
    return places


def _repeated(firsts: NDArray[np.int64]) -> list[int]:
    """The places that equal an earlier one."""
    places: list[int] = np.flatnonzero(firsts != np.arange(len(firsts))).tolist()
    return places


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
