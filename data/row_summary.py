"""What a set of rows holds, counted: the figures `data.check` prints above its findings."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from data.conversation import content_text
from data.near_duplicates import hash64
from data.reading import NumberedPreference, NumberedRow, RowFile
from data.row import Message, Row
from data.row_batches import in_batches
from data.rules.findings import Finding
from data.rules.severities import DEFAULTS, RuleSeverities
from data.stored_rows import joined, without

Shape = Literal["single", "parallel", "multi_step", "recovery", "no_call", "general"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
MEANING: dict[Shape, str] = {
    "single": "one call for a request",
    "parallel": "several calls in one turn",
    "multi_step": "calls that follow from the results of others",
    "recovery": "a failed call, then the right one",
    "no_call": "tools on offer, and answered in words",
    "general": "no tools at all: plain instructions",
}
# `Error: no such task`, `"failed: ..."`, `<MatchFailedError result=...>`
_ERROR_TEXT = re.compile(r"\W*\w*(error|exception|traceback|failed|failure)\b", re.IGNORECASE)


class RowSummary(NamedTuple):
    lines: int
    good: int
    refused: int
    """Lines with at least one error."""
    preferences: int
    """Good preference rows; `messages` and below are counted over the good chat rows."""
    duplicates: int | None
    """Rows that repeat an earlier one; None where the rule is off and nobody looked."""
    near_duplicates: int | None
    """Rows with the same calls in nearly the same words as an earlier one."""
    messages: int
    shapes: dict[Shape, int]
    personas: int
    """Distinct first lines of the system text, without those of general rows; having none counts as one."""
    system_prompts: int
    """Distinct whole system texts of the same rows."""

    @property
    def num_chat(self) -> int:
        return self.good - self.preferences


def summarise(files: list[RowFile], findings: list[Finding], severities: RuleSeverities = DEFAULTS) -> RowSummary:
    """Figures of the rows that no finding refuses; each row is looked at once."""
    shapes: Counter[Shape] = Counter()
    prompts: set[int] = set()
    personas: set[str] = set()
    num_messages = 0
    rows = good_rows(files, findings)
    for counts in in_batches(_count, rows):
        shapes.update(counts.shapes)
        prompts |= counts.prompts
        personas |= counts.personas
        num_messages += counts.messages
    lines = sum(file.num_lines for file in files)
    preferences = len(good_preferences(files, findings))
    good = len(rows) + preferences
    paths = {file.path for file in files}
    rules = Counter(finding.fault.rule for finding in findings if finding.path in paths)
    return RowSummary(
        lines=lines,
        good=good,
        refused=lines - good,
        preferences=preferences,
        duplicates=rules["duplicate"] if severities.duplicate != "off" else None,
        near_duplicates=rules["near_duplicate"] if severities.near_duplicate != "off" else None,
        messages=num_messages,
        shapes={shape: shapes[shape] for shape in SHAPES},
        personas=len(personas),
        system_prompts=len(prompts),
    )


class _Counts(NamedTuple):
    shapes: Counter[Shape]
    messages: int
    prompts: set[int]
    """Hashes of them: whole texts of a large file would fill the memory."""
    personas: set[str]


def _count(rows: list[NumberedRow]) -> _Counts:
    shapes = [shape_of(numbered.row) for numbered in rows]
    asked = [numbered.row for numbered, shape in zip(rows, shapes, strict=True) if shape != "general"]
    return _Counts(
        Counter(shapes),
        sum(len(numbered.row.messages) for numbered in rows),
        {hash64(_system_text(row).encode()) for row in asked},
        {persona(row) for row in asked},
    )


def good_rows(files: list[RowFile], findings: list[Finding]) -> Sequence[NumberedRow]:
    return joined([without(file.rows, _refused(file, findings)) for file in files])


def good_preferences(files: list[RowFile], findings: list[Finding]) -> Sequence[NumberedPreference]:
    return joined([without(file.preferences, _refused(file, findings)) for file in files])


def _refused(file: RowFile, findings: list[Finding]) -> set[int]:
    return {finding.line for finding in findings if finding.is_error and finding.path == file.path}


def shape_of(row: Row) -> Shape:
    """The first that holds of: a failed call and another after it, two calls in a turn, two calling turns for one
    request, a call, no tools."""
    if _recovers(row.messages):
        return "recovery"
    if any(len(message.tool_calls or []) > 1 for message in row.messages):
        return "parallel"
    longest = chain = 0
    for message in row.messages:
        chain = 0 if message.role == "user" else chain + bool(message.tool_calls)
        longest = max(longest, chain)
    if longest:
        return "multi_step" if longest > 1 else "single"
    return "no_call" if row.tools else "general"


def _recovers(messages: list[Message]) -> bool:
    """A call fails when its turn has weight 0 (it is not to be learnt) or its result tells an error."""
    has_failed = False
    for message in messages:
        if message.role == "user":
            has_failed = False
        elif message.tool_calls and has_failed and message.is_trained:
            return True
        elif message.tool_calls:
            has_failed = message.weight == 0
        elif message.role == "tool":
            has_failed = has_failed or _tells_error(content_text(message.content))
    return False


def _tells_error(result: str) -> bool:
    """An object with a filled `error`, or that says it had no success; text that starts with such a word."""
    if not result.lstrip().startswith("{"):
        return bool(_ERROR_TEXT.match(result))
    if not any(key in result for key in ('"error', '"success"')):  # most results: spares reading them
        return False
    try:
        told = json.loads(result)
    except (ValueError, RecursionError):
        return False
    return bool(told.get("error") or told.get("errors")) or told.get("success") is False


def persona(row: Row) -> str:
    """The first line of the system text, which says who the assistant is; what follows often changes with each row."""
    texts = (content_text(message.content) for message in row.messages if message.role in ("system", "developer"))
    return next((text.strip().split("\n")[0] for text in texts if text.strip()), "")


def _system_text(row: Row) -> str:
    texts = (content_text(message.content) for message in row.messages if message.role in ("system", "developer"))
    return "\n".join(texts).strip()
