"""Errors in OpenAI's words: {"error": {"message", "type", "param", "code"}}, which its clients turn into exceptions."""

import errno
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException

logger = logging.getLogger("calltune.api")
# Clients repeat every answer of 408, 409, 429 and from 500 on unless they are told not to.
FINAL = {"x-should-retry": "false"}
FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ApiError(HTTPException):
    """An answer other than success. FastAPI turns any other exception that comes while it reads a form into a 400."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None,
        kind: str = "invalid_request_error", headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(status, message, dict(headers or {}))
        self.body = error_body(message, param=param, code=code, kind=kind)


def error_body(message: str, *, param: str | None, code: str | None, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid_value(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")


def not_supported(message: str, param: str | None = None) -> ApiError:
    # 400, not 501: clients repeat what begins with 5.
    return ApiError(400, message, param=param, code="not_supported_locally")


def add_error_handlers(app: FastAPI) -> None:
    handlers = {
        ApiError: _api_error, HTTPException: _http_error, RequestValidationError: _validation_error,
        SQLAlchemyError: _database_error, UnicodeEncodeError: _unicode_error, OSError: _disk_error,
        Exception: _own_error,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status_code, error.headers)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = {
        404: f"Invalid URL ({request.method} {request.url.path})",
        405: f"Not allowed to {request.method} on {request.url.path}",
    }.get(error.status_code, str(error.detail))
    return _answer(error.status_code, message, headers=dict(error.headers or {}))


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:] if part != "body") or None
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    if first["type"] == "extra_forbidden":
        code = "unknown_parameter"
    return _answer(400, f"Invalid value for {param!r}: {first['msg']}" if param else first["msg"], param, code)


def _database_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError):  # text or numbers that no column holds
        return _answer(400, "The request holds a value that cannot be kept", code="invalid_value")
    reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    logger.error("database", extra={"reason": reason})
    if "full" in reason.lower() or "no space" in reason.lower():
        return _answer(507, "The server has no disk space left", code="insufficient_storage", headers=FINAL)
    if isinstance(error, OperationalError):  # it may be back in a moment: clients should try again
        return _answer(503, "The database cannot be reached", code="database_unavailable", headers={"Retry-After": "1"})
    return _answer(500, "The server had an error with its database", code="server_error")


def _unicode_error(request: Request, error: Exception) -> JSONResponse:
    return _answer(400, "The request holds half a surrogate pair, which is no character", code="invalid_value")


def _disk_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    logger.error("disk", extra={"reason": str(error)})
    if error.errno in FULL_DISK:
        return _answer(507, "The server has no disk space left", code="insufficient_storage", headers=FINAL)
    return _answer(500, "The server could not reach its files", code="server_error")


def _own_error(request: Request, error: Exception) -> JSONResponse:
    logger.exception("own fault", exc_info=error)
    return _answer(500, "The server had an error while processing your request", code="server_error")


def _answer(
    status: int, message: str, param: str | None = None, code: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return JSONResponse(error_body(message, param=param, code=code, kind=kind), status, headers)
