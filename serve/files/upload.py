"""What a file must be to be taken."""

import re
from codecs import BOM_UTF8
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, Literal, get_args

from data.strict_json import load_json
from serve.transport.errors import ApiError, invalid_value, not_supported

Purpose = Literal["fine-tune", "evals", "user_data"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
FOREIGN_PURPOSES = ("assistants", "vision", "batch")
MAX_FILENAME = 255
MIN_EXPIRY_S, MAX_EXPIRY_S = 3600, 2_592_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def require_purpose(purpose: str) -> None:
    if purpose in FOREIGN_PURPOSES:
        raise not_supported(f"Files of purpose {purpose!r} are not supported", "purpose")
    if purpose not in PURPOSES:
        raise invalid_value("purpose", f"{purpose!r} is not one of {', '.join(PURPOSES)}")


def clean_filename(name: str | None) -> str:
    """The last part of the name, for showing: bytes are kept under the file's id alone."""
    last = PurePosixPath(PureWindowsPath(name or "").name).name
    return _CONTROL.sub("", last)[:MAX_FILENAME] or "file"


def expiry(anchor: str | None, seconds: int | None, created_at: int) -> int | None:
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise invalid_value("expires_after.anchor", "anchor must be created_at")
    if seconds is None or not MIN_EXPIRY_S <= seconds <= MAX_EXPIRY_S:
        raise invalid_value("expires_after.seconds", f"seconds must be {MIN_EXPIRY_S} to {MAX_EXPIRY_S}")
    return created_at + seconds


def require_json_lines(file: IO[bytes]) -> None:
    """Every line that is not blank is a JSON object; the file is read to its end and rewound.

    Raises ApiError with the first line that is none. Rows are checked by the job, as OpenAI does.
    """
    num_rows = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        num_rows += 1
        try:
            value = load_json((line.removeprefix(BOM_UTF8) if number == 1 else line).decode())
        except ValueError as error:
            raise _no_json_lines(number, str(error)) from error
        if not isinstance(value, dict):
            raise _no_json_lines(number, "the line is no JSON object")
    if not num_rows:
        raise ApiError(400, "The file is empty. Expected file to have JSONL format, one JSON object a line")
    file.seek(0)


def _no_json_lines(line: int, reason: str) -> ApiError:
    return ApiError(
        400,
        "Invalid file format. Expected file to have JSONL format, where every line is a JSON dictionary. "
        f"Line {line}: {reason}",
    )
