"""Row files: JSONL (plain or gzipped) to checked rows, with every fault found by line."""

import gzip
import hashlib
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from data.legacy_functions import as_written, convert, is_legacy
from data.preference_row import PreferenceRow
from data.row import JsonObject, Row
from data.rules.findings import Fault, Finding, place
from data.rules.form import form_faults, without_extra_keys
from data.rules.preferences import is_preference, preference_faults, with_place_hint, with_todays_names
from data.rules.rows import row_faults
from data.rules.severities import DEFAULTS, RuleSeverities, severities_beside
from data.strict_json import load_json
from data.user_error import UserError

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


class RowFile(NamedTuple):
    path: Path
    rows: list[NumberedRow]
    """The chat rows without an error."""
    preferences: list[NumberedPreference]
    """The preference rows without an error."""
    findings: list[Finding]
    """Errors and warnings of all lines, in file order."""
    num_lines: int
    """Lines that hold something."""


def file_sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the recipe's paths") from error


def read_rows(path: Path, severities: RuleSeverities | None = None) -> list[NumberedRow]:
    """All rows of a file. Raises UserError with the first fault when any row has an error."""
    file = read_row_file(path, severities)
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


def read_row_file(path: Path, severities: RuleSeverities | None = None) -> RowFile:
    """All rows and all findings of a file. Raises UserError when the file itself cannot be read or is empty.

    Without severities, those count that the rows were prepared under (`severities_beside`).
    """
    severities = severities or severities_beside(path)
    file = RowFile(path, [], [], [], num_lines=0)
    num_lines = 0
    for line, data in enumerate(_lines(path), start=1):
        if not data.strip():
            continue
        num_lines += 1
        row, found = parse_row(path, line, data, severities)
        file.findings.extend(found)
        if any(finding.is_error for finding in found):
            continue
        if isinstance(row, Row):
            file.rows.append(NumberedRow(path, line, row))
        elif row:
            file.preferences.append(NumberedPreference(path, line, row))
    if not num_lines:
        raise UserError("the file is empty", where=str(path), fix="one JSON object a line: messages and tools")
    if file.rows and file.preferences:
        file.findings.append(_mixed(file, severities))
    return file._replace(num_lines=num_lines)


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


def _chat(raw: JsonObject, severities: RuleSeverities) -> tuple[Row | None, list[Fault]]:
    if "messages" not in raw and {"prompt", "completion"} & set(raw):
        reason, fix = "Unexpected file format, expected chat messages", "write the prompt as a user message"
        return None, [Fault("file_format", reason, fix=fix)]
    if not is_legacy(raw):
        return _validated(Row, raw, row_faults, severities)
    converted = convert(raw)
    if converted.row is None:
        return None, converted.faults
    row, faults = _validated(Row, converted.row, row_faults, severities)
    return row, converted.faults + [as_written(fault) for fault in faults]


def _preference(raw: JsonObject, severities: RuleSeverities) -> tuple[PreferenceRow | None, list[Fault]]:
    raw, faults = with_todays_names(raw)
    row, found = _validated(PreferenceRow, raw, preference_faults, severities)
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


def _lines(path: Path) -> list[bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        # Not splitlines: U+2028 and its like are legal inside JSON strings. A file whose first line is no UTF-8 is no
        # row file; one bad byte further down is a fault of its line.
        first, *others = data.removeprefix(BOM_UTF8).split(b"\n")
        first.decode()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"is not UTF-8 JSONL: {error}", where=str(path), fix="save it as UTF-8") from error
    return [first, *others]
