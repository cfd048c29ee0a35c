"""The records of a source in any layout: JSON lines, one JSON document or Parquet, gzipped or not; a data set's split.

JSON lines and Parquet are read as a stream; a document is held whole. A record that is no JSON object becomes one
with a fault, so that it is counted; a file that cannot be read on raises UserError.
"""

import gzip
import json
import stat
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from json import JSONDecodeError
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from data.row import JsonObject
from data.rules.findings import one_line
from data.strict_json import load_json
from data.user_error import UserError

_LINE_SUFFIXES = (".jsonl", ".ndjson")
# Objects whose keys are data: a null in one of them may be a value or Arrow's filling.
_DATA_KEYS = {"arguments", "parameters", "param_dict", "properties"}


class Record(NamedTuple):
    number: int
    """1-based: the physical line of JSON lines, else the place in the list."""
    value: JsonObject | None
    fault: str = ""
    """Why there is no value."""


class DatasetSplit(NamedTuple):
    """One split of a data set of the hub (`data.hub_dataset`)."""

    name: str
    rows: Iterable[JsonObject]
    """Can be read more than once."""

    def __str__(self) -> str:
        return self.name


Source = Path | DatasetSplit


def read_records(source: Source) -> Iterator[Record]:
    if isinstance(source, DatasetSplit):
        for number, row in enumerate(source.rows, start=1):
            yield _arrow_record(number, row)
    else:
        yield from _file(source)


def _file(path: Path) -> Iterator[Record]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError("is no file that can be read twice", where=str(path), fix="save it as a file")
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PAR1":
            yield from _parquet(path)
            return
        with gzip.open(path) if magic[:2] == b"\x1f\x8b" else path.open("rb") as file:
            yield from _json(path, file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"is no whole gzip file: {error}", where=str(path), fix="compress it anew") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error


class _Line(NamedTuple):
    number: int
    text: str
    fault: str = ""


def _json(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[Record]:
    lines = _text_lines(path, file)
    first = list(islice(lines, 2))
    if not first:
        raise UserError("the file is empty", where=str(path), fix="give a file with records")
    rest = chain(first, lines)
    if _holds_lines(path, [line.text.strip() for line in first]):
        for line in rest:
            yield Record(line.number, None, line.fault) if line.fault else _record(line.number, line.text)
        return
    yield from _document(path, "\n".join(_with_blank_lines(path, rest)))


def _holds_lines(path: Path, first: list[str]) -> bool:
    """Whether each line is a record: by the file's name, or where its first one is whole and another follows."""
    stem = path.with_suffix("") if path.suffix == ".gz" else path
    is_begun = first[0] in ("[", "{")  # of a document over many lines, whatever its file is called
    return (stem.suffix in _LINE_SUFFIXES and not is_begun) or (len(first) == 2 and _is_object(first[0]))


def _text_lines(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[_Line]:
    """Lines that hold something, with their numbers. Raises UserError where the first one is no UTF-8: all is not."""
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            fault = f"not UTF-8 at byte {error.start + 1}: {error.reason}"
            if number == 1:
                raise UserError(f"is {fault}", where=f"{path}:1", fix="save it as UTF-8") from error
            yield _Line(number, "", fault)
            continue
        if text.strip():
            yield _Line(number, text)


def _with_blank_lines(path: Path, lines: Iterator[_Line]) -> Iterator[str]:
    """The lines of a document, blank ones too, so that a fault is told at its own line."""
    last = 0
    for line in lines:
        if line.fault:
            raise UserError(f"is {line.fault}", where=f"{path}:{line.number}", fix="save it as UTF-8")
        yield from [""] * (line.number - last - 1)
        yield line.text
        last = line.number


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _record(number: int, text: str) -> Record:
    try:
        value = load_json(text)
    except JSONDecodeError as error:
        return Record(number, None, f"broken JSON at column {error.colno}: {error.msg}")
    except ValueError as error:
        return Record(number, None, f"broken JSON: {error}")
    return Record(number, value) if isinstance(value, dict) else Record(number, None, "the record is no JSON object")


def _document(path: Path, text: str) -> Iterator[Record]:
    """A list's objects one by one, so that a fault costs one of them; or the objects that follow each other."""
    position, number = _skip(text, 0), 0
    if not text.startswith("[", position):
        while position < len(text):
            end = _end_of_value(path, text, position)
            number += 1
            yield _record(number, text[position:end])
            position = _skip(text, end)
        return
    position = _skip(text, position + 1)
    while not text.startswith("]", position):
        end = _end_of_value(path, text, position)
        number += 1
        yield _record(number, text[position:end])
        position = _skip(text, end)
        if text.startswith(",", position):
            position = _skip(text, position + 1)
        elif not text.startswith("]", position):
            raise _broken(path, text, position, "Expecting ',' delimiter")
    if _skip(text, position + 1) < len(text):
        raise _broken(path, text, position + 1, "Extra data")


def _end_of_value(path: Path, text: str, position: int) -> int:
    try:
        return json.JSONDecoder().raw_decode(text, position)[1]
    except JSONDecodeError as error:
        raise _broken(path, text, error.pos, error.msg) from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, text, position, str(error) or "nested too deeply") from error


def _broken(path: Path, text: str, position: int, why: str) -> UserError:
    place = JSONDecodeError(why, text, position)
    return UserError(
        f"broken JSON at column {place.colno}: {why}", where=f"{path}:{place.lineno}", fix="write whole JSON"
    )


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError("Parquet needs pyarrow", where=str(path), fix="install pyarrow, or save as JSONL") from error
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                yield _arrow_record(number, row)
    except pyarrow.ArrowException as error:
        raise UserError(
            f"is no whole Parquet file: {one_line(str(error))}", where=str(path), fix="save it anew"
        ) from error


def _arrow_record(number: int, row: JsonObject) -> Record:
    try:
        return _record(number, json.dumps(_without_filling(row, is_data=False)))
    except (TypeError, ValueError, RecursionError) as error:
        return Record(number, None, str(error))


def _without_filling(value: Any, *, is_data: bool) -> Any:
    """The value without the nulls that Arrow fills into every object of a column.

    Raises ValueError where such a null stands in the arguments of a call or the schema of a tool.
    """
    if isinstance(value, list):
        return [_without_filling(item, is_data=is_data) for item in value]
    if not isinstance(value, dict):
        return value
    if is_data and None in value.values():
        raise ValueError(
            "Arrow filled an object of arguments or parameters with nulls: save those columns as JSON text"
        )
    return {
        key: _without_filling(item, is_data=is_data or key in _DATA_KEYS)
        for key, item in value.items()
        if item is not None
    }
