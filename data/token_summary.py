"""Rows measured in tokens; those that cannot be rendered or are too long become findings."""

from collections.abc import Iterable
from typing import NamedTuple

from data.reading import NumberedRow
from data.render import Tokenizer, render
from data.row import JsonObject
from data.rules import Finding
from data.template import Template
from data.user_error import UserError


class Spread(NamedTuple):
    mean: float
    p95: int
    max: int

    @classmethod
    def of(cls, counts: list[int]) -> "Spread":
        ranked = sorted(counts) or [0]
        # Nearest rank: the smallest count that 95 % of the rows do not exceed.
        return cls(sum(ranked) / len(ranked), ranked[-(-95 * len(ranked) // 100) - 1], ranked[-1])


class TokenSummary(NamedTuple):
    template: str
    max_length: int | None
    rendered: int
    """Rows that the figures below stand for: too long a row counts, so that a length can be chosen."""
    tokens: Spread
    trained_tokens: Spread
    trained_share: float

    def as_json(self) -> JsonObject:
        spreads = {"tokens": self.tokens._asdict(), "trained_tokens": self.trained_tokens._asdict()}
        return self._asdict() | spreads


class Measured(NamedTuple):
    summary: TokenSummary
    findings: list[Finding]


def measure(rows: Iterable[NumberedRow], tokenizer: Tokenizer, template: Template, max_length: int | None) -> Measured:
    """Render every row as training does."""
    lengths: list[int] = []
    trained: list[int] = []
    findings: list[Finding] = []
    for path, line, row in rows:
        try:
            rendered = render(row, tokenizer, template)
        except UserError as error:
            findings.append(Finding(path, line, "render", error.what, fix=error.fix))
            continue
        length = len(rendered.input_ids)
        lengths.append(length)
        trained.append(rendered.num_trained)
        if max_length and length > max_length:
            reason = f"the row is {length} tokens long, {length - max_length} more than the {max_length} allowed"
            findings.append(Finding(path, line, "too_long", reason, fix="shorten it, or raise --max-length"))
    share = sum(trained) / sum(lengths) if lengths else 0.0
    summary = TokenSummary(template.name, max_length, len(lengths), Spread.of(lengths), Spread.of(trained), share)
    return Measured(summary, findings)
