"""Many rows rendered on all cores, in order; few rows are rendered in this process."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from data.parallel_rows import on_all_cores
from data.preference_row import PreferenceRow
from data.reading import NumberedPreference, NumberedRow
from data.render import Rendered, Renderer, Tokenizer
from data.row import Row
from data.template import Template
from data.user_error import UserError

MANY = 10_000  # rows; a process needs some seconds to start and to load what renders
BATCH = 100


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
    for batch in on_all_cores(_batch_lengths, _packed_batches(rows), _load, (tokenizer, template)):
        yield from batch


def render_many(rows: Sequence[NumberedRow], tokenizer: Tokenizer, template: Template) -> Iterator[Rendered]:
    """Every row rendered. Raises UserError for one that cannot be."""
    if len(rows) < MANY:
        renderer = Renderer(tokenizer, template)
        yield from (renderer.render(numbered.row) for numbered in rows)
        return
    for batch in on_all_cores(_batch_rendered, _packed_batches(rows), _load, (tokenizer, template)):
        yield from batch


class _Packed(NamedTuple):
    """A row as JSON: for another process to read in a fourth of the time that unpickling its objects takes."""

    path: Path
    line: int
    is_preference: bool
    json: str

    def unpacked(self) -> NumberedRow | NumberedPreference:
        if self.is_preference:
            return NumberedPreference(self.path, self.line, PreferenceRow.model_validate_json(self.json))
        return NumberedRow(self.path, self.line, Row.model_validate_json(self.json))


def _packed_batches(rows: Iterable[NumberedRow | NumberedPreference]) -> Iterator[list[_Packed]]:
    packed = (
        _Packed(path, line, isinstance(row, PreferenceRow), row.model_dump_json(exclude_unset=True))
        for path, line, row in rows
    )
    while batch := list(islice(packed, BATCH)):
        yield batch


_loaded: list[Renderer] = []
"""Of a process of the pool: its own renderer, which remembers tool lists from batch to batch."""


def _load(tokenizer: Tokenizer, template: Template) -> None:
    _loaded.append(Renderer(tokenizer, template))


def _batch_rendered(batch: list[_Packed]) -> list[Rendered]:
    return [_loaded[0].render(Row.model_validate_json(packed.json)) for packed in batch]


def _batch_lengths(batch: list[_Packed]) -> list[RowLengths]:
    return [_row_lengths(packed.unpacked(), _loaded[0]) for packed in batch]


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
