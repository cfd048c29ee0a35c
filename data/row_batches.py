"""Work on many rows, batch by batch on all cores and in order; few rows are worked on in this process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from data.parallel_rows import on_all_cores
from data.reading import ChatLine, NumberedPreference, NumberedRow, PreferenceLine
from data.row import Row
from data.rules.severities import DEFAULTS
from data.stored_rows import JoinedRows, StoredRows

MANY = 10_000  # rows; a process needs some seconds to start and to load what renders
BATCH = 100

AnyNumbered = TypeVar("AnyNumbered", NumberedRow, NumberedPreference, NumberedRow | NumberedPreference)
Result = TypeVar("Result")


class PackedRow(NamedTuple):
    """A row on its way to another process, as the JSON it was read from: its objects would take longer."""

    read: Callable[[int, bytes], Any]
    line: int
    data: bytes


def in_batches(work: Callable[[list[AnyNumbered]], Result], rows: Sequence[AnyNumbered]) -> Iterator[Result]:
    """`work(batch)` for each batch of rows, in their order."""
    if len(rows) < MANY:
        yield from map(work, _batches(rows))
    else:
        yield from on_all_cores(partial(_unpacked, work), packed_batches(rows))


def packed_batches(rows: Sequence[AnyNumbered]) -> Iterator[list[PackedRow]]:
    return _batches(_packed(rows))


def unpacked(batch: list[PackedRow]) -> list[Any]:
    return [packed.read(packed.line, packed.data) for packed in batch]


def _unpacked(work: Callable[[list[Any]], Result], batch: list[PackedRow]) -> Result:
    return work(unpacked(batch))


def _packed(rows: Sequence[Any]) -> Iterator[PackedRow]:
    if isinstance(rows, JoinedRows):
        for part in rows.parts:
            yield from _packed(part)
    elif isinstance(rows, StoredRows):
        yield from (PackedRow(rows.read, line, data) for line, data in rows.unread())
    else:
        readers: dict[Any, Callable[[int, bytes], Any]] = {}  # one for all rows of a file: pickled once a batch
        for path, line, row in rows:
            kind = ChatLine if isinstance(row, Row) else PreferenceLine
            read = readers.setdefault((path, kind), kind(path, DEFAULTS))
            yield PackedRow(read, line, row.model_dump_json(exclude_unset=True).encode())


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
