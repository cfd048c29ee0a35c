"""A request handed on and its answer handed back, byte for byte; what is to be stored is stored before the end."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import aiohttp
from fastapi.responses import JSONResponse, Response, StreamingResponse

from data.strict_json import load_json
from serve.chat.stream_assembly import DONE
from serve.transport.errors import error_body

logger = logging.getLogger("calltune.api")
PASSED_HEADERS = ("retry-after", "x-should-retry")
PASSED_PREFIXES = ("x-ratelimit-", "openai-")
Store = Callable[[bytes], Awaitable[bool]]
"""Called with the whole answer; says whether it was stored."""


class Question(NamedTuple):
    url: str
    body: bytes
    headers: dict[str, str]
    is_ours: bool
    """Asked of our own vLLM, whose errors are put into OpenAI's words."""
    timeout_s: float | None = None


async def ask(http: aiohttp.ClientSession, question: Question) -> aiohttp.ClientResponse:
    """The answer's head; its body is still to be read. Raises aiohttp.ClientError, TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=question.timeout_s)
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **question.headers}
    return await http.post(question.url, data=question.body, headers=headers, timeout=timeout)


async def whole_answer(answer: aiohttp.ClientResponse, question: Question, store: Store | None) -> Response:
    body = await answer.read()
    headers = _headers(answer)
    if answer.status != 200:
        return _error(answer.status, body, headers) if question.is_ours else _plain(answer, body, headers)
    if store:
        headers["x-calltune-stored"] = "true" if await store(body) else "false"
    return _plain(answer, body, headers)


def streamed_answer(
    answer: aiohttp.ClientResponse, store: Store | None, leave: Callable[[], Awaitable[None]]
) -> StreamingResponse:
    """`leave` is called when the stream has ended, however it did."""
    pieces = _pieces(answer, store, leave)
    return StreamingResponse(
        pieces, headers=_headers(answer), media_type=answer.headers.get("content-type", "text/event-stream")
    )


async def _pieces(
    answer: aiohttp.ClientResponse, store: Store | None, leave: Callable[[], Awaitable[None]]
) -> AsyncIterator[bytes]:
    """What comes, as it comes. The event that ends the stream waits until the answer is stored."""
    told = bytearray()
    is_stored = store is None
    try:
        async for piece in answer.content.iter_any():
            if is_stored:
                yield piece
                continue
            told += piece
            at = told.find(DONE, max(0, len(told) - len(piece) - len(DONE)))
            if at < 0:
                yield piece
                continue
            before = len(piece) - (len(told) - at)
            if before > 0:
                yield piece[:before]
            assert store
            await store(bytes(told))
            is_stored = True
            yield piece[max(0, before) :]
    finally:
        answer.close()
        await leave()


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    names = (name.lower() for name in answer.headers)
    return {name: answer.headers[name] for name in names if name in PASSED_HEADERS or name.startswith(PASSED_PREFIXES)}


def _plain(answer: aiohttp.ClientResponse, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, answer.status, headers, answer.headers.get("content-type", "application/json"))


def _error(status: int, body: bytes, headers: dict[str, str]) -> JSONResponse:
    """vLLM gives its errors a number as code, which typed clients refuse."""
    try:
        told = load_json(body.decode())["error"]
        message, param = str(told["message"]), told.get("param")
    except (ValueError, KeyError, TypeError):
        message, param = "The model server had an error", None
    kind = "server_error" if status >= 500 else "invalid_request_error"
    code = "model_unavailable" if status >= 500 else "invalid_value"
    param = param if isinstance(param, str) else None
    return JSONResponse(error_body(message, param=param, code=code, kind=kind), status, headers)
