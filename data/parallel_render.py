"""Many rows rendered on all cores, in order; few rows are rendered in this process."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data.parallel_rows import on_all_cores
from data.reading import NumberedPreference, NumberedRow
from data.render import Rendered, Renderer, Tokenizer
from data.row import Row
from data.row_batches import MANY, PackedRow, packed_batches, unpacked
from data.template import Template
from data.user_error import UserError


class Length(NamedTuple):
    tokens: int
    trained_tokens: int


class RowLengths(NamedTuple):
    path: Path
    line: int
    lengths: list[Length]
    """One; of a preference row two, one for each output."""
    fault: str = ""
    """Why the row, or its next output, cannot be rendered, or ""."""
    fix: str = ""


def row_lengths(
    rows: Sequence[NumberedRow | NumberedPreference], tokenizer: Tokenizer, template: Template
) -> Iterator[RowLengths]:
    """Every row rendered as training renders it, for its length alone."""
    if len(rows) < MANY:
        renderer = Renderer(tokenizer, template)
        yield from (_row_lengths(numbered, renderer) for numbered in rows)
        return
    for batch in on_all_cores(_batch_lengths, packed_batches(rows), _load, (tokenizer, template)):
        yield from batch


def render_many(rows: Sequence[NumberedRow], tokenizer: Tokenizer, template: Template) -> Iterator[Rendered]:
    """Every row rendered. Raises UserError for one that cannot be."""
    if len(rows) < MANY:
        renderer = Renderer(tokenizer, template)
        yield from (renderer.render(numbered.row) for numbered in rows)
        return
    for batch in on_all_cores(_batch_rendered, packed_batches(rows), _load, (tokenizer, template)):
        yield from batch


_loaded: list[Renderer] = []
"""Of a process of the pool: its own renderer, which remembers tool lists from batch to batch."""


def _load(tokenizer: Tokenizer, template: Template) -> None:
    _loaded.append(Renderer(tokenizer, template))


def _batch_rendered(batch: list[PackedRow]) -> list[Rendered]:
    return [_loaded[0].render(numbered.row) for numbered in unpacked(batch)]


def _batch_lengths(batch: list[PackedRow]) -> list[RowLengths]:
    return [_row_lengths(numbered, _loaded[0]) for numbered in unpacked(batch)]


def _row_lengths(numbered: NumberedRow | NumberedPreference, renderer: Renderer) -> RowLengths:
    path, line, row = numbered
    lengths: list[Length] = []
    for part in (row,) if isinstance(row, Row) else (row.chosen(), row.rejected()):
        try:
            rendered = renderer.render(part)
        except UserError as error:
            return RowLengths(path, line, lengths, error.what, error.fix)
        lengths.append(Length(len(rendered.input_ids), rendered.num_trained))
    return RowLengths(path, line, lengths)
