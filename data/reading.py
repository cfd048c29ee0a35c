"""Row files: JSONL (plain or gzipped) to checked rows, with every fault found by line."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from data.legacy_functions import as_written, convert, is_legacy
from data.parallel_rows import Chunk, chunks, on_all_cores
from data.preference_row import PreferenceRow
from data.row import JsonObject, Row
from data.row_lines import LineFile, is_document, row_lines
from data.rules.findings import Fault, Finding, place
from data.rules.form import form_faults, without_extra_keys
from data.rules.preferences import is_preference, preference_faults, with_place_hint, with_todays_names
from data.rules.rows import row_faults
from data.rules.severities import DEFAULTS, RuleSeverities, severities_beside
from data.stored_rows import StoredRows
from data.strict_json import load_json
from data.unfinished import NOTHING_KEPT, Unfinished
from data.user_error import UserError

LARGE_BYTES = 16 * 2**20
"""A file of more is read on all cores, and its rows stay on disk; those of a smaller one are held, which is faster."""
GZIP_RATIO = 8  # rows packed to bytes, about

AnyRow = TypeVar("AnyRow", Row, PreferenceRow)


class NumberedRow(NamedTuple):
    path: Path
    line: int
    """1-based physical line."""
    row: Row


class NumberedPreference(NamedTuple):
    path: Path
    line: int
    row: PreferenceRow


@dataclass(frozen=True)  # mypy takes no NamedTuple for a callable
class ChatLine:
    """Makes a row of a line that was found to hold a good one; other processes can be given it."""

    path: Path
    severities: RuleSeverities

    def __call__(self, line: int, data: bytes) -> NumberedRow:
        return NumberedRow(self.path, line, _row_again(self.path, line, data, Row, self.severities))


@dataclass(frozen=True)
class PreferenceLine:
    path: Path
    severities: RuleSeverities

    def __call__(self, line: int, data: bytes) -> NumberedPreference:
        return NumberedPreference(self.path, line, _row_again(self.path, line, data, PreferenceRow, self.severities))


class RowFile(NamedTuple):
    path: Path
    rows: Sequence[NumberedRow]
    """The chat rows without an error."""
    preferences: Sequence[NumberedPreference]
    """The preference rows without an error."""
    findings: list[Finding]
    """Errors and warnings of all lines, in file order."""
    num_lines: int
    """Lines that hold something."""


class CheckedChunk(NamedTuple):
    num_lines: int
    """Lines that hold something."""
    rows: list[int]
    """1-based numbers of the lines with chat rows without an error."""
    preferences: list[int]
    findings: list[Finding]


def file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the recipe's paths") from error


def read_rows(
    path: Path, severities: RuleSeverities | None = None, unfinished: Unfinished = NOTHING_KEPT
) -> Sequence[NumberedRow]:
    """All rows of a file. Raises UserError with the first fault when any row has an error."""
    file = read_row_file(path, severities, unfinished)
    require_no_error(file.findings)
    if file.preferences:
        raise UserError(
            "a preference row, where chat rows are wanted",
            where=f"{path}:{file.preferences[0].line}",
            fix='give rows with "messages"',
        )
    return file.rows


def require_no_error(findings: list[Finding]) -> None:
    """Raises UserError with the first error, counting the others."""
    errors = [finding for finding in findings if finding.is_error]
    if errors:
        more = f" (+{len(errors) - 1} more; run data.check)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0].fault.reason}{more}", where=errors[0].where, fix=errors[0].fault.fix)


def read_row_file(
    path: Path, severities: RuleSeverities | None = None, unfinished: Unfinished = NOTHING_KEPT
) -> RowFile:
    """All rows and all findings of a file. Raises UserError when the file itself cannot be read or is empty.

    Without severities, those count that the rows were prepared under (`severities_beside`). What is found of a large
    file goes into `unfinished`.
    """
    severities = severities or severities_beside(path)
    file = _stored(path, severities, unfinished) if is_large(path) else _held(path, severities)
    if not file.num_lines:
        raise UserError("the file is empty", where=str(path), fix="one JSON object a line: messages and tools")
    has_objects = any(finding.fault.rule != "broken_json" for finding in file.findings)
    if not (file.rows or file.preferences or has_objects) and is_document(path, file.num_lines):
        what, fix = "is one JSON document, not one row a line", f"python -m data.convert {path} --out ROWS.jsonl"
        raise UserError(what, where=str(path), fix=fix)
    if file.rows and file.preferences:
        file.findings.append(_mixed(file, severities))
    return file


def is_large(path: Path) -> bool:
    try:
        size = path.stat().st_size
    except OSError:
        return False  # told where it is read
    return size * (GZIP_RATIO if path.suffix == ".gz" else 1) > LARGE_BYTES


def _held(path: Path, severities: RuleSeverities) -> RowFile:
    rows: list[NumberedRow] = []
    preferences: list[NumberedPreference] = []
    findings: list[Finding] = []
    num_lines = 0
    for line, data in enumerate(row_lines(path), start=1):
        if not data.strip():
            continue
        num_lines += 1
        row, found = parse_row(path, line, data, severities)
        findings.extend(found)
        if any(finding.is_error for finding in found):
            continue
        if isinstance(row, Row):
            rows.append(NumberedRow(path, line, row))
        elif row:
            preferences.append(NumberedPreference(path, line, row))
    return RowFile(path, rows, preferences, findings, num_lines)


def _stored(path: Path, severities: RuleSeverities, unfinished: Unfinished) -> RowFile:
    rows, preferences = array("I"), array("I")
    findings: list[Finding] = []
    faults: dict[Fault, Fault] = {}  # the same fault of many rows is held once
    num_lines = 0
    name = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    for checked in unfinished.results(f"checked-{name}", partial(_checked_chunks, path, severities)):
        num_here, rows_here, preferences_here, found = checked
        num_lines += num_here
        rows.extend(rows_here)
        preferences.extend(preferences_here)
        for line, fields, severity in found:
            fault = Fault(*fields)
            findings.append(Finding(path, line, faults.setdefault(fault, fault), severity))
    lines = LineFile(path)
    if len(lines) < max([*rows[-1:], *preferences[-1:]], default=0):
        raise _changed(str(path))
    chats, pairs = ChatLine(path, severities), PreferenceLine(path, severities)
    return RowFile(path, StoredRows(lines, rows, chats), StoredRows(lines, preferences, pairs), findings, num_lines)


def _checked_chunks(path: Path, severities: RuleSeverities, done: int) -> Iterator[list[Any]]:
    """All but the first `done` chunks, checked, as lists of plain values."""
    for checked in on_all_cores(partial(check_chunk, severities), islice(chunks(path), done, None)):
        found = [(finding.line, finding.fault, finding.severity) for finding in checked.findings]
        yield [checked.num_lines, checked.rows, checked.preferences, found]


def check_chunk(severities: RuleSeverities, chunk: Chunk) -> CheckedChunk:
    """Some lines of a file, checked; only what was found of them is handed back, not the rows."""
    checked = CheckedChunk(sum(bool(data.strip()) for data in chunk.lines), [], [], [])
    for line, data in enumerate(chunk.lines, start=chunk.first):
        if not data.strip():
            continue
        row, found = parse_row(chunk.path, line, data, severities)
        checked.findings.extend(found)
        if row and not any(finding.is_error for finding in found):
            (checked.rows if isinstance(row, Row) else checked.preferences).append(line)
    return checked


def _row_again(path: Path, line: int, data: bytes, cls: type[AnyRow], severities: RuleSeverities) -> AnyRow:
    """The row of a line that was found to be good before; its rules are not looked at again."""
    try:
        return cls.model_validate_json(data)  # three times as fast; what it does not take is mended below
    except ValidationError:
        pass
    try:
        raw = load_json(data.decode())
    except ValueError as error:
        raise _changed(f"{path}:{line}") from error
    row: Row | PreferenceRow | None = None
    if isinstance(raw, dict):
        row, _ = _preference(raw, severities, _no_faults) if is_preference(raw) else _chat(raw, severities, _no_faults)
    if not isinstance(row, cls):
        raise _changed(f"{path}:{line}")
    return row


def _changed(where: str) -> UserError:
    fix = "start again when nobody writes it, or check a copy"
    return UserError("the file was changed while it was read", where=where, fix=fix)


def _no_faults(row: Row | PreferenceRow) -> list[Fault]:
    return []


def parse_row(
    path: Path, line: int, data: bytes | str, severities: RuleSeverities = DEFAULTS
) -> tuple[Row | PreferenceRow | None, list[Finding]]:
    """One line to a row with its findings; None when it has not even the form of a row."""
    try:
        raw = load_json(data.decode() if isinstance(data, bytes) else data)
    except ValueError as error:
        place_in_line = f" at column {error.colno}: {error.msg}" if isinstance(error, JSONDecodeError) else f": {error}"
        what, fix = f"broken JSON{place_in_line}", "write one complete JSON object a line"
        if isinstance(error, UnicodeDecodeError):
            what, fix = f"not UTF-8 at byte {error.start + 1}: {error.reason}", "save the file as UTF-8"
        return None, place(path, line, [Fault("broken_json", what, fix=fix)], severities)
    if not isinstance(raw, dict):
        fault = Fault("broken_json", "the line is no JSON object", fix='start with {"messages": [...]}')
        return None, place(path, line, [fault], severities)
    row, faults = _preference(raw, severities) if is_preference(raw) else _chat(raw, severities)
    return row, place(path, line, faults, severities)


def _chat(
    raw: JsonObject, severities: RuleSeverities, rules: Callable[[Row], list[Fault]] = row_faults
) -> tuple[Row | None, list[Fault]]:
    if "messages" not in raw and {"prompt", "completion"} & set(raw):
        reason, fix = "Unexpected file format, expected chat messages", "write the prompt as a user message"
        return None, [Fault("file_format", reason, fix=fix)]
    if not is_legacy(raw):
        return _validated(Row, raw, rules, severities)
    converted = convert(raw)
    if converted.row is None:
        return None, converted.faults
    row, faults = _validated(Row, converted.row, rules, severities)
    return row, converted.faults + [as_written(fault) for fault in faults]


def _preference(
    raw: JsonObject, severities: RuleSeverities, rules: Callable[[PreferenceRow], list[Fault]] = preference_faults
) -> tuple[PreferenceRow | None, list[Fault]]:
    raw, faults = with_todays_names(raw)
    row, found = _validated(PreferenceRow, raw, rules, severities)
    return row, faults + [with_place_hint(fault) for fault in found]


def _validated(
    cls: type[AnyRow], raw: JsonObject, faults_of: Callable[[AnyRow], list[Fault]], severities: RuleSeverities
) -> tuple[AnyRow | None, list[Fault]]:
    try:
        row = cls.model_validate(raw)
    except ValidationError as error:
        faults = form_faults(error)
        kept = without_extra_keys(raw, error)
        if kept is None or severities.extra_key == "error":
            return None, faults
        less, found = _validated(cls, kept, faults_of, severities)
        return less, faults + found
    return row, faults_of(row)


def _mixed(file: RowFile, severities: RuleSeverities) -> Finding:
    """Told at the first row that is of another kind than the first of the file."""
    line = max(file.rows[0].line, file.preferences[0].line)
    fault = Fault("file_format", "the file holds chat rows and preference rows", fix="give each kind its own file")
    return place(file.path, line, [fault], severities)[0]
