"""Rules that no row breaks alone: rows that repeat or contradict each other, and held-out rows that are trained on."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data.conversation import calls_of, conversation
from data.near_duplicates import near_duplicates
from data.reading import NumberedRow
from data.rules.findings import Fault, Finding, place
from data.rules.severities import RuleSeverities


class Placed(NamedTuple):
    path: Path
    line: int
    fault: Fault


def set_findings(rows: list[NumberedRow], held_out: list[NumberedRow], severities: RuleSeverities) -> list[Finding]:
    """Findings of training rows, of held-out rows, and of the two beside each other."""
    placed: list[Placed] = []
    for split in (rows, held_out):
        rules = {"uneven_tools": uneven_tools, "contradiction": contradictions, "near_duplicate": duplicates}
        for rule, faults_of in rules.items():
            if severities.of(rule) != "off" or (rule == "near_duplicate" and severities.duplicate != "off"):
                placed += faults_of(split)
    placed += leaks(rows, held_out)
    return [finding for path, line, fault in placed for finding in place(path, line, [fault], severities)]


def leaks(rows: list[NumberedRow], held_out: list[NumberedRow]) -> Iterator[Placed]:
    """A held-out row that was trained on measures memory, not skill."""
    seen = {_messages_text(numbered): numbered for numbered in rows}
    for numbered in held_out:
        if twin := seen.get(_messages_text(numbered)):
            reason = f"held-out row is also the training row {twin.path}:{twin.line}"
            fault = Fault("leak", reason, fix="take it out of one of the files")
            yield Placed(numbered.path, numbered.line, fault)


def uneven_tools(rows: list[NumberedRow]) -> Iterator[Placed]:
    """File by file: each file may be of another agent."""
    with_tools = {numbered.path for numbered in rows if numbered.row.tools}
    for numbered in rows:
        if not numbered.row.tools and numbered.path in with_tools:
            fix = "give every row the tools array that production sends"
            fault = Fault("uneven_tools", "the row has no tools, other rows of the file have", key="tools", fix=fix)
            yield Placed(numbered.path, numbered.line, fault)


def contradictions(rows: list[NumberedRow]) -> Iterator[Placed]:
    """One input, two different calls: the model can learn neither. Of two answers in text both may be right."""
    seen: dict[bytes, tuple[str, str]] = {}
    for numbered in rows:
        talk = conversation(numbered.row)
        context = hashlib.sha256(json.dumps(talk.tools).encode())
        for number, (message, is_trained) in enumerate(zip(talk.messages, talk.is_trained, strict=True), start=1):
            if is_trained and (calls := message.get("tool_calls")):
                text = json.dumps(calls, sort_keys=True)
                where = f"{numbered.path}:{numbered.line}, message {number}"
                earlier, first = seen.setdefault(context.digest(), (text, where))
                if earlier != text:
                    reason = f"calls otherwise than {first}, after the same messages"
                    fault = Fault("contradiction", reason, number, "tool_calls", "keep the right one of the two")
                    yield Placed(numbered.path, numbered.line, fault)
            context.update(json.dumps(message).encode())


def duplicates(rows: list[NumberedRow]) -> Iterator[Placed]:
    """Rows that are an earlier one again, or nearly."""
    firsts: dict[str, NumberedRow] = {}
    distinct = []
    for numbered in rows:
        first = firsts.setdefault(row_text(numbered), numbered)
        if first is numbered:
            distinct.append(numbered)
            continue
        fault = Fault("duplicate", f"the same row as {first.path}:{first.line}", fix="keep one")
        yield Placed(numbered.path, numbered.line, fault)
    for pair in near_duplicates([calls_text(numbered) for numbered in distinct], list(map(words, distinct))):
        first, later = distinct[pair.first], distinct[pair.later]
        reason = f"the same calls in nearly the same words as {first.path}:{first.line} ({pair.alike:.0%} alike)"
        fault = Fault("near_duplicate", reason, fix="keep one, or word it differently")
        yield Placed(later.path, later.line, fault)


def _messages_text(numbered: NumberedRow) -> str:
    return json.dumps(conversation(numbered.row).messages)


def row_text(numbered: NumberedRow) -> str:
    """Equal for rows that are rendered alike: ids and the spelling of arguments do not count."""
    talk = conversation(numbered.row)
    return json.dumps([talk.tools, talk.messages])


def calls_text(numbered: NumberedRow) -> str:
    """Equal for rows that make the same calls."""
    calls = [calls_of(message) for message in numbered.row.messages if message.tool_calls]
    return json.dumps(calls, sort_keys=True)


def words(numbered: NumberedRow) -> str:
    """What is said, but for the system: the same instructions are no sign of a copy."""
    messages: Iterable[str] = (
        message["content"]
        for message in conversation(numbered.row).messages
        if message["role"] in ("user", "assistant")
    )
    return " ".join(" ".join(messages).lower().split())
