"""What a set of rows holds, counted: the figures `data.check` prints above its findings."""

from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from data.conversation import content_text
from data.reading import NumberedPreference, NumberedRow, RowFile
from data.row import Row
from data.rules.findings import Finding

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
    """Figures of the rows that no finding refuses."""
    rows = [numbered.row for numbered in good_rows(files, findings)]
    lines = sum(file.num_lines for file in files)
    calls = Counter(call.function.name for row in rows for message in row.messages for call in message.tool_calls or [])
    shapes = Counter(map(shape_of, rows))
    preferences = len(good_preferences(files, findings))
    good = len(rows) + preferences
    return RowSummary(
        lines=lines,
        good=good,
        refused=lines - good,
        preferences=preferences,
        messages=sum(len(row.messages) for row in rows),
        calls=dict(calls.most_common()),
        uncalled_tools=sorted({name for row in rows for name in row.tool_names()} - set(calls)),
        shapes={shape: shapes[shape] for shape in SHAPES},
        system_prompts=len({_system_prompt(row) for row in rows}),
    )


def good_rows(files: list[RowFile], findings: list[Finding]) -> list[NumberedRow]:
    refused = _refused(findings)
    return [row for file in files for row in file.rows if (row.path, row.line) not in refused]


def good_preferences(files: list[RowFile], findings: list[Finding]) -> list[NumberedPreference]:
    refused = _refused(findings)
    return [row for file in files for row in file.preferences if (row.path, row.line) not in refused]


def _refused(findings: list[Finding]) -> set[tuple[Path, int]]:
    return {(finding.path, finding.line) for finding in findings if finding.is_error}


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
