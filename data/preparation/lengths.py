"""Every row rendered once: proof that it can be, its length in tokens, and whether it fits."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from data.parallel_render import row_lengths
from data.preparation.entries import Dropped, Entry, EntryRows, StageResult
from data.progress_bar import progress_over
from data.render import Tokenizer, render
from data.template import Template
from data.unfinished import NOTHING_KEPT, Unfinished
from data.user_error import UserError


class Ruler(NamedTuple):
    tokenizer: Tokenizer
    template: Template
    max_length: int
    too_long: Literal["drop", "fail"] = "drop"

    def measured(self, entry: Entry) -> Entry:
        """The entry with its token counts. Raises UserError, naming the row, where it cannot be rendered."""
        try:
            rendered = render(entry.row, self.tokenizer, self.template)
        except UserError as error:
            raise UserError(error.what, where=entry.where, fix=error.fix) from error
        return entry._replace(num_tokens=len(rendered.input_ids), num_trained=rendered.num_trained)

    def fits(self, entry: Entry) -> bool:
        return entry.num_tokens <= self.max_length


def keep_fitting(name: str, entries: list[Entry], ruler: Ruler, unfinished: Unfinished = NOTHING_KEPT) -> StageResult:
    """Raises UserError for a row that cannot be rendered, one too long where that is refused, or none left."""
    kept, dropped = [], []
    lengths = unfinished.results(f"lengths-{name}", lambda done: _lengths(entries[done:], ruler))
    with progress_over(lengths, f"rendering {name} rows", len(entries)) as tracked:
        for entry, (num_tokens, num_trained) in zip(entries, tracked, strict=True):
            measured = entry._replace(num_tokens=num_tokens, num_trained=num_trained)
            if ruler.fits(measured):
                kept.append(measured)
                continue
            detail = f"{measured.num_tokens} tokens, sft.max_length is {ruler.max_length}"
            if ruler.too_long == "fail":
                fix = "raise sft.max_length, or data.too_long=drop"
                raise UserError(f"row too long: {detail}", where=entry.where, fix=fix)
            dropped.append(Dropped(entry.where, "too_long", detail))
    if not kept:
        what = f"all {len(entries)} {name} rows are longer than {ruler.max_length} tokens"
        raise UserError(what, fix="raise sft.max_length")
    return StageResult(kept, dropped)


def _lengths(entries: list[Entry], ruler: Ruler) -> Iterator[list[int]]:
    for entry, length in zip(entries, row_lengths(EntryRows(entries), ruler.tokenizer, ruler.template), strict=True):
        if length.fault:
            raise UserError(length.fault, where=entry.where, fix=length.fix)
        yield [*length.lengths[0]]
