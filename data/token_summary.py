"""Rows measured in tokens; those that cannot be rendered or are too long become findings."""

import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.parallel_render import RowLengths, row_lengths
from data.progress_bar import progress_over
from data.reading import NumberedPreference, NumberedRow
from data.render import Tokenizer
from data.row import JsonObject
from data.rules.findings import Fault, Finding, place
from data.rules.severities import RuleSeverities
from data.stored_rows import after
from data.template import Template
from data.unfinished import NOTHING_KEPT, Unfinished


class Spread(NamedTuple):
    mean: float
    p95: int
    max: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> "Spread":
        ranked = np.sort(np.asarray(counts if len(counts) else [0], np.int64))
        # Nearest rank: the smallest count that 95 % of the rows do not exceed.
        p95 = ranked[-(-95 * len(ranked) // 100) - 1]
        return cls(int(ranked.sum()) / len(ranked), int(p95), int(ranked[-1]))


class TokenSummary(NamedTuple):
    template: str
    max_length: int | None
    rendered: int
    """Rows that the figures below stand for: too long a row counts, so that a length can be chosen."""
    tokens: Spread
    trained_tokens: Spread
    trained_share: float
    total_tokens: int
    """Of the rows that are not too long: what one epoch trains on."""
    total_trained_tokens: int

    def as_json(self) -> JsonObject:
        spreads = {"tokens": self.tokens._asdict(), "trained_tokens": self.trained_tokens._asdict()}
        return self._asdict() | spreads


class Measured(NamedTuple):
    summary: TokenSummary
    tokens: Sequence[int]
    """Of each rendered row; a preference row is two."""
    trained_tokens: Sequence[int]
    findings: list[Finding]


def measure(
    rows: Sequence[NumberedRow | NumberedPreference],
    tokenizer: Tokenizer,
    template: Template,
    max_length: int | None,
    severities: RuleSeverities,
    unfinished: Unfinished = NOTHING_KEPT,
    stage: str = "",
) -> Measured:
    """Render every row as training does; a preference row is two, one for each output."""
    tokens, trained = array("I"), array("I")
    findings: list[Finding] = []
    results = unfinished.results(stage, lambda done: map(_as_list, row_lengths(after(rows, done), tokenizer, template)))
    found = (RowLengths(Path(path), *others) for path, *others in results)
    with progress_over(found, "rendering rows", len(rows)) as measured:
        for row in measured:
            for length, num_trained in row.lengths:  # lists, where they were written down
                tokens.append(length)
                trained.append(num_trained)
                if max_length and length > max_length:
                    reason = (
                        f"the row is {length} tokens long, {length - max_length} more than the {max_length} allowed"
                    )
                    fault = Fault("too_long", reason, fix="shorten it, or raise --max-length")
                    findings += place(row.path, row.line, [fault], severities)
            if row.fault:
                findings += place(row.path, row.line, [_render_fault(template, row.fault, row.fix)], severities)
    return Measured(_summary(template, max_length, tokens, trained), tokens, trained, findings)


def _as_list(found: RowLengths) -> list[Any]:
    return [str(found.path), *found[1:]]


def _summary(template: Template, max_length: int | None, tokens: Sequence[int], trained: Sequence[int]) -> TokenSummary:
    limit = max_length or math.inf
    return TokenSummary(
        template=template.name,
        max_length=max_length,
        rendered=len(tokens),
        tokens=Spread.of(tokens),
        trained_tokens=Spread.of(trained),
        trained_share=sum(trained) / sum(tokens) if tokens else 0.0,
        total_tokens=sum(length for length in tokens if length <= limit),
        total_trained_tokens=sum(num for length, num in zip(tokens, trained, strict=True) if length <= limit),
    )


def _render_fault(template: Template, what: str, fix: str) -> Fault:
    """S25, whose words some faults of `render` have already."""
    reason = f"Cannot be rendered with the {template.name} template"
    return Fault("render", what if what.startswith(reason) else f"{reason}: {what}", fix=fix)
