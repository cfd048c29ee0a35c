"""Files of requests: rows that end on the user, for a teacher to answer."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from data.chat_request import chat_request
from data.distillation.environment import new_environment
from data.distillation.settings import EnvironmentName
from data.reading import parse_row, read_rows, require_no_error
from data.row import JsonObject, Row
from data.rules.severities import DEFAULTS
from data.user_error import UserError

# What the teacher writes is what will be trained, and the tools may come from a file of their own.
_REQUEST_RULES = DEFAULTS.errors_alone().model_copy(update={"nothing_trained": "off", "missing_tools": "off"})
_WITH_TOOLS = _REQUEST_RULES.model_copy(update={"missing_tools": "error"})


class Request(NamedTuple):
    path: Path
    line: int
    """1-based physical line."""
    row: Row
    """Without the answer; earlier turns stay as they are written, weights included."""

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"


class RequestFile(NamedTuple):
    requests: list[Request]
    repeated: list[Request]
    """Requests that an earlier one already asks, in the same words with the same tools."""


def read_requests(path: Path, tools: list[JsonObject] | None, environment: EnvironmentName) -> RequestFile:
    """All requests of a JSONL file; `tools` are for those that bring none. Raises UserError for the first bad line."""
    requests: dict[str, Request] = {}
    repeated = []
    for _, line, row in read_rows(path, _REQUEST_RULES):
        request = Request(path, line, row if row.tools or not tools else _with_tools(path, line, row, tools))
        _check(request, environment)
        text = json.dumps(chat_request(request.row, len(request.row.messages)), sort_keys=True)
        first = requests.setdefault(hashlib.sha256(text.encode()).hexdigest(), request)
        if first is not request:
            repeated.append(request)
    return RequestFile(list(requests.values()), repeated)


def _with_tools(path: Path, line: int, row: Row, tools: list[JsonObject]) -> Row:
    """Checked once more: earlier turns may call what the tools do not have."""
    raw = row.model_dump(exclude_unset=True) | {"tools": tools}
    checked, findings = parse_row(path, line, json.dumps(raw), _WITH_TOOLS)
    require_no_error(findings)
    assert isinstance(checked, Row), raw
    return checked


def _check(request: Request, environment: EnvironmentName) -> None:
    if request.row.messages[-1].role != "user":
        role = request.row.messages[-1].role
        raise UserError(f"the request ends on the {role}", where=request.where, fix="end it on the user's message")
    if not request.row.tools:
        raise UserError("the request has no tools", where=request.where, fix="add them, or give --tools TOOLS.json")
    try:
        new_environment(environment, request.row)
    except UserError as error:
        fix = f"{error.fix}, or --environment mock"
        raise UserError(f"--environment {environment}: {error.what}", where=request.where, fix=fix) from error
