"""What a set of rows holds, counted: the figures `data.check` prints above its findings."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from data.conversation import content_text
from data.near_duplicates import hash64
from data.reading import NumberedPreference, NumberedRow, RowFile
from data.row import Row
from data.rules.findings import Finding
from data.stored_rows import joined, without

Shape = Literal["no_call", "single", "parallel", "multi_step", "recovery"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


class RowSummary(NamedTuple):
    lines: int
    good: int
    refused: int
    """Lines with at least one error."""
    preferences: int
    """Good preference rows; everything below is counted over the good chat rows."""
    messages: int
    calls: dict[str, int]
    """Calls per tool, most used first."""
    uncalled_tools: list[str]
    """Tools that are listed but never called."""
    shapes: dict[Shape, int]
    system_prompts: int
    """Distinct ones; a row without any counts as one."""


def summarise(files: list[RowFile], findings: list[Finding]) -> RowSummary:
    """Figures of the rows that no finding refuses; each is looked at once, as they may be read from disk."""
    rows = good_rows(files, findings)
    preferences = len(good_preferences(files, findings))
    calls: Counter[str] = Counter()
    shapes: Counter[Shape] = Counter()
    listed: set[str] = set()
    prompts: set[int] = set()
    num_messages = 0
    for _, _, row in rows:
        num_messages += len(row.messages)
        calls.update(call.function.name for message in row.messages for call in message.tool_calls or [])
        shapes[shape_of(row)] += 1
        listed |= row.tool_names()
        prompts.add(hash64(_system_prompt(row).encode()))
    lines, good = sum(file.num_lines for file in files), len(rows) + preferences
    return RowSummary(
        lines=lines,
        good=good,
        refused=lines - good,
        preferences=preferences,
        messages=num_messages,
        calls=dict(calls.most_common()),
        uncalled_tools=sorted(listed - set(calls)),
        shapes={shape: shapes[shape] for shape in SHAPES},
        system_prompts=len(prompts),
    )


def good_rows(files: list[RowFile], findings: list[Finding]) -> Sequence[NumberedRow]:
    return joined([without(file.rows, _refused(file, findings)) for file in files])


def good_preferences(files: list[RowFile], findings: list[Finding]) -> Sequence[NumberedPreference]:
    return joined([without(file.preferences, _refused(file, findings)) for file in files])


def _refused(file: RowFile, findings: list[Finding]) -> set[int]:
    return {finding.line for finding in findings if finding.is_error and finding.path == file.path}


def shape_of(row: Row) -> Shape:
    """The first that holds of: a turn of weight 0, two calls in a turn, two calling turns for one request, a call."""
    if any(message.weight == 0 for message in row.messages):
        return "recovery"
    if any(len(message.tool_calls or []) > 1 for message in row.messages):
        return "parallel"
    longest = chain = 0
    for message in row.messages:
        chain = 0 if message.role == "user" else chain + bool(message.tool_calls)
        longest = max(longest, chain)
    return "multi_step" if longest > 1 else "single" if longest == 1 else "no_call"


def _system_prompt(row: Row) -> str:
    return "\n".join(content_text(m.content) for m in row.messages if m.role in ("system", "developer"))
