"""Rules that no row breaks alone: rows that repeat or contradict each other, and held-out rows that are trained on.

Rows may be more than memory holds: what is kept of each is hashes.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.conversation import calls_of, conversation
from data.near_duplicates import alike_pairs, hash64, sketch
from data.reading import NumberedRow
from data.row import Row
from data.rules.findings import Fault, Finding, place
from data.rules.severities import RuleSeverities

MAX_TEXTS = 10_000  # remembered while they are compared


class Placed(NamedTuple):
    path: Path
    line: int
    fault: Fault


def set_findings(
    rows: Sequence[NumberedRow], held_out: Sequence[NumberedRow], severities: RuleSeverities
) -> list[Finding]:
    """Findings of training rows, of held-out rows, and of the two beside each other."""
    placed: list[Placed] = []
    for split in (rows, held_out):
        rules = {"uneven_tools": uneven_tools, "contradiction": contradictions, "near_duplicate": duplicates}
        for rule, faults_of in rules.items():
            if severities.of(rule) != "off" or (rule == "near_duplicate" and severities.duplicate != "off"):
                placed += faults_of(split)
    placed += leaks(rows, held_out)
    return [finding for path, line, fault in placed for finding in place(path, line, [fault], severities)]


def leaks(rows: Sequence[NumberedRow], held_out: Sequence[NumberedRow]) -> Iterator[Placed]:
    """A held-out row that was trained on measures memory, not skill."""
    if not held_out:
        return
    wanted = {_messages_hash(numbered) for numbered in held_out}
    twins: dict[int, str] = {}
    for numbered in rows:
        if (messages := _messages_hash(numbered)) in wanted:
            twins[messages] = f"{numbered.path}:{numbered.line}"
    for numbered in held_out:
        if twin := twins.get(_messages_hash(numbered)):
            fault = Fault(
                "leak", f"held-out row is also the training row {twin}", fix="take it out of one of the files"
            )
            yield Placed(numbered.path, numbered.line, fault)


def uneven_tools(rows: Sequence[NumberedRow]) -> Iterator[Placed]:
    """File by file: each file may be of another agent."""
    with_tools = {numbered.path for numbered in rows if numbered.row.tools}
    for numbered in rows:
        if not numbered.row.tools and numbered.path in with_tools:
            fix = "give every row the tools array that production sends"
            fault = Fault("uneven_tools", "the row has no tools, other rows of the file have", key="tools", fix=fix)
            yield Placed(numbered.path, numbered.line, fault)


def contradictions(rows: Sequence[NumberedRow]) -> Iterator[Placed]:
    """One input, two different calls: the model can learn neither. Of two answers in text both may be right."""
    contexts, calls, places, numbers = array("Q"), array("Q"), array("Q"), array("L")
    for at, numbered in enumerate(rows):
        talk = conversation(numbered.row)
        context = hashlib.blake2b(json.dumps(talk.tools).encode(), digest_size=8)
        for number, (message, is_trained) in enumerate(zip(talk.messages, talk.is_trained, strict=True), start=1):
            if is_trained and message.get("tool_calls"):
                contexts.append(int.from_bytes(context.digest(), "little"))
                calls.append(hash64(json.dumps(message["tool_calls"], sort_keys=True).encode()))
                places.append(at)
                numbers.append(number)
            context.update(json.dumps(message).encode())
    for later, first in enumerate(_first_equal(contexts).tolist()):
        if calls[first] != calls[later]:
            earlier, numbered = rows[places[first]], rows[places[later]]
            where = f"{earlier.path}:{earlier.line}, message {numbers[first]}"
            reason, fix = f"calls otherwise than {where}, after the same messages", "keep the right one of the two"
            yield Placed(
                numbered.path, numbered.line, Fault("contradiction", reason, numbers[later], "tool_calls", fix)
            )


def duplicates(rows: Sequence[NumberedRow]) -> Iterator[Placed]:
    """Rows that are an earlier one again, or nearly."""
    hashes = array("Q", (hash64(row_text(numbered.row).encode()) for numbered in rows))
    distinct, sketches = array("Q"), array("Q")
    for at, (numbered, first) in enumerate(zip(rows, _first_equal(hashes).tolist(), strict=True)):
        if first == at:
            distinct.append(at)
            sketches.extend(sketch(calls_text(numbered.row), words(numbered.row)))
            continue
        reason = f"the same row as {rows[first].path}:{rows[first].line}"
        yield Placed(numbered.path, numbered.line, Fault("duplicate", reason, fix="keep one"))

    @lru_cache(MAX_TEXTS)
    def words_of(at: int) -> str:
        return words(rows[distinct[at]].row)

    for pair in alike_pairs(sketches, words_of):
        earlier, later = rows[distinct[pair.first]], rows[distinct[pair.later]]
        reason = f"the same calls in nearly the same words as {earlier.path}:{earlier.line} ({pair.alike:.0%} alike)"
        fault = Fault("near_duplicate", reason, fix="keep one, or word it differently")
        yield Placed(later.path, later.line, fault)


def _first_equal(hashes: "array[int]") -> NDArray[np.int64]:
    """For each hash the place of the first that equals it."""
    _, first, which = np.unique(np.asarray(hashes, np.uint64), return_index=True, return_inverse=True)
    places: NDArray[np.int64] = first[which]
    return places


def _messages_hash(numbered: NumberedRow) -> int:
    return hash64(json.dumps(conversation(numbered.row).messages).encode())


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
    messages: Iterable[str] = (
        message["content"] for message in conversation(row).messages if message["role"] in ("user", "assistant")
    )
    return " ".join(" ".join(messages).lower().split())
