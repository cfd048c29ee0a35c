"""Row files: JSONL (plain or gzipped) to checked rows, with every fault found by line."""

import gzip
import hashlib
import zlib
from json import JSONDecodeError
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from data.row import Row
from data.rules import Finding, row_findings
from data.strict_json import load_json
from data.user_error import UserError


class NumberedRow(NamedTuple):
    path: Path
    line: int
    """1-based physical line."""
    row: Row


class RowFile(NamedTuple):
    path: Path
    rows: list[NumberedRow]
    """The rows without an error."""
    findings: list[Finding]
    """Errors and warnings of all lines, in file order."""
    num_lines: int
    """Lines that hold something."""


def file_sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the recipe's paths") from error


def read_rows(path: Path) -> list[NumberedRow]:
    """All rows of a file. Raises UserError with the first fault when any row has an error."""
    file = read_row_file(path)
    errors = [finding for finding in file.findings if finding.is_error]
    if errors:
        more = f" (+{len(errors) - 1} more; run data.check)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0].reason}{more}", where=errors[0].where, fix=errors[0].fix)
    return file.rows


def read_row_file(path: Path) -> RowFile:
    """All rows and all findings of a file. Raises UserError when the file itself cannot be read or is empty."""
    rows: list[NumberedRow] = []
    findings: list[Finding] = []
    num_lines = 0
    for line, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        num_lines += 1
        row, found = parse_row(path, line, text)
        findings += found
        if row and not any(finding.is_error for finding in found):
            rows.append(NumberedRow(path, line, row))
    if not num_lines:
        raise UserError("the file is empty", where=str(path), fix="one JSON object a line: messages and tools")
    return RowFile(path, rows, findings, num_lines)


def parse_row(path: Path, line: int, text: str) -> tuple[Row | None, list[Finding]]:
    """One line to a row with its findings; None when it has not even the form of a row."""
    try:
        raw = load_json(text)
    except ValueError as error:
        place = f" at column {error.colno}: {error.msg}" if isinstance(error, JSONDecodeError) else f": {error}"
        reason = f"broken JSON{place}"
        return None, [Finding(path, line, "json", reason, fix="write one complete JSON object a line")]
    if not isinstance(raw, dict):
        return None, [Finding(path, line, "json", "the line is no JSON object", fix='start with {"messages": [...]}')]
    try:
        row = Row.model_validate(raw)
    except ValidationError as error:
        return None, _form_findings(path, line, error)
    return row, row_findings(path, line, row)


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    try:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"is not UTF-8 JSONL: {error}", where=str(path), fix="save it as UTF-8") from error
    # Not splitlines: U+2028 and its like are legal inside JSON strings.
    return text.split("\n")


def _form_findings(path: Path, line: int, error: ValidationError) -> list[Finding]:
    """pydantic's faults as findings, one a key: a union tells one fault once for each of its branches."""
    reasons: dict[tuple[int | None, str], list[str]] = {}
    for fault in error.errors():
        if fault["loc"][-1] == "str" and isinstance(fault["input"], list):
            continue  # a list was meant, and its own faults follow
        reason = {"missing": "is required", "extra_forbidden": "is not a known key"}.get(fault["type"], fault["msg"])
        reasons.setdefault(_place(list(fault["loc"])), []).append(reason)
    fix = "see the row format in the README"
    return [
        Finding(path, line, "form", " or ".join(found), message=message, key=key, fix=fix)
        for (message, key), found in reasons.items()
    ]


def _place(location: list[str | int]) -> tuple[int | None, str]:
    """Message number and key apart."""
    message = None
    if len(location) >= 2 and location[0] == "messages" and isinstance(location[1], int):
        message, location = location[1] + 1, location[2:]
    # pydantic names the branches of a union (`str`, `list[...]`): they are no keys of the row.
    parts = [
        part for part in location if isinstance(part, int) or (part.isidentifier() and part not in ("str", "dict"))
    ]
    return message, "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
