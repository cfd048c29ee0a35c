"""Which completions are kept, and what is taken out of them before they are written down."""

import importlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from data.user_error import UserError
from serve.api_settings import CaptureSection
from serve.chat.request import ChatRequest

Redactor = Callable[[dict[str, Any], dict[str, Any]], tuple[dict[str, Any], dict[str, Any]] | None]


class Kept(NamedTuple):
    """A completion as it is to be stored."""

    id: str
    project: str
    created_at: int
    model: str
    request_id: str
    request: bytes
    response: bytes
    metadata: dict[str, str]


class Capture:
    def __init__(self, section: CaptureSection) -> None:
        """Raises UserError for a redactor that cannot be loaded and an expression that is none."""
        self._store = section.store
        self._patterns = [(_compiled(pattern), replacement) for pattern, replacement in section.redact.items()]
        self._redactor = _loaded(section.redactor) if section.redactor else None

    def wants(self, request: ChatRequest) -> bool:
        return self._store == "always" or (self._store == "on_request" and request.wants_store)

    def kept(self, request: ChatRequest, answer: dict[str, Any], project: str, request_id: str) -> Kept | None:
        """What is written down of a request and its answer; None when the redactor wants nothing kept."""
        body, raw, response = request.body, request.raw, answer
        if self._redactor:
            both = self._redactor(json.loads(raw), response)
            if both is None:
                return None
            body, response = both
        if self._patterns:
            body, response = self._redacted(body), self._redacted(response)
        if body is not request.body:
            raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return Kept(
            answer["id"], project, int(answer["created"]), request.model, request_id, raw,
            json.dumps(response, ensure_ascii=False).encode("utf-8", "surrogatepass"), request.metadata,
        )  # fmt: skip

    def _redacted(self, value: Any) -> Any:
        """Every text of the value with the replacements; keys stay."""
        if isinstance(value, str):
            for pattern, replacement in self._patterns:
                value = pattern.sub(replacement, value)
            return value
        if isinstance(value, dict):
            return {key: self._redacted(item) for key, item in value.items()}
        return [self._redacted(item) for item in value] if isinstance(value, list) else value


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"{pattern!r} is no regular expression: {error}", where="capture.redact") from error


def _loaded(name: str) -> Redactor:
    module, colon, function = name.partition(":")
    try:
        redactor: Redactor = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        fix = "write package.module:function"
        raise UserError(f"{name!r} cannot be loaded: {error}", where="capture.redactor", fix=fix) from error
    if not colon or not callable(redactor):
        raise UserError(f"{name!r} is no function", where="capture.redactor", fix="write package.module:function")
    return redactor
