"""A request handed on and its answer handed back, byte for byte; what is to be stored is stored before the end."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from data.strict_json import load_json
from serve.chat.stream_assembly import StreamAssembly
from serve.transport.errors import error_body

logger = logging.getLogger("calltune.api")
ERROR_EVENT = b'data: {"error"'
_ERROR_LINE = re.compile(rb'^data: (\{"error".*?)$', re.MULTILINE)
_RESPONSE_END = re.compile(rb"^event: response\.(completed|incomplete|failed)\r?$", re.MULTILINE)
PASSED_HEADERS = ("retry-after", "x-should-retry")
PASSED_PREFIXES = ("x-ratelimit-", "openai-")
Store = Callable[[dict[str, Any] | None], Awaitable[bool]]
"""Called with the whole completion, None where there is none; says whether it was stored."""


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
        headers["x-calltune-stored"] = "true" if await store(_completion(body)) else "false"
    return _plain(answer, body, headers)


class StreamedAnswer(Response):
    """A stream as it comes, in whole events. The event that ends it waits until the answer is stored; one whose server
    is gone ends with an event that says so.

    Starlette's own goes through a task group and an iterator for each piece.
    """

    def __init__(
        self, answer: aiohttp.ClientResponse, store: Store | None, leave: Callable[[], Awaitable[None]],
        events: "WholeEvents", *, is_ours: bool = True,
    ) -> None:  # fmt: skip
        """`leave` is called when the stream has ended, however it did."""
        super().__init__(None, 200, _headers(answer), answer.headers.get("content-type", "text/event-stream"))
        del self.headers["content-length"]
        self._answer, self._store, self._leave, self._is_ours = answer, store, leave, is_ours
        self._events = events
        self._client_is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._pass_on(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            self._answer.close()
            await self._leave()

    async def _watch(self, receive: Receive) -> None:
        """A client that leaves ends the work for it too."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client_is_gone = True
        self._answer.close()

    async def _pass_on(self, send: Send) -> None:
        assembly = StreamAssembly() if self._store else None
        events = self._events
        try:
            while came := await self._answer.content.readany():
                await self._send(send, events.add(came), assembly)
        except aiohttp.ClientError as error:
            if not self._client_is_gone:
                await self._break_off(send, repr(error))
            return
        if events.is_done or not self._is_ours:
            await self._send(send, events.rest, assembly)
        else:
            await self._break_off(send, "the stream ended before its last event")

    async def _send(self, send: Send, piece: bytes, assembly: StreamAssembly | None) -> None:
        if self._is_ours and ERROR_EVENT in piece:
            piece = _ERROR_LINE.sub(_error_event, piece)
        if assembly and self._store and not assembly.is_done:
            before = assembly.add(piece)
            if assembly.is_done:
                await send({"type": "http.response.body", "body": piece[:before], "more_body": True})
                await self._store(assembly.completion())
                piece = piece[before:]
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if assembly:
                assembly.fold()

    async def _break_off(self, send: Send, reason: str) -> None:
        """What came of an event that is not whole is left out: clients would choke on half a JSON object."""
        logger.error("a stream broke off", extra={"reason": reason[:200]})
        if self._store:
            await self._store(None)
        error = error_body("The model server is gone", param=None, code="model_unavailable", kind="server_error")
        body = f"data: {json.dumps(error)}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})


class WholeEvents:
    """Holds back what has come of an event until it is whole; nearly every piece is."""

    def __init__(self) -> None:
        self.rest = b""
        self._last = b""

    @property
    def is_done(self) -> bool:
        """The event that ends a stream has come."""
        return (self._last + self.rest).rstrip().endswith(b"data: [DONE]")

    def add(self, piece: bytes) -> bytes:
        piece = self.rest + piece
        end = len(piece) if piece.endswith((b"\n\n", b"\r\n\r\n")) else _last_end(piece)
        self.rest, whole = piece[end:], piece[:end]
        self._last = whole[-32:] or self._last
        return whole


class ResponseEvents(WholeEvents):
    """Of the Responses API, whose last event says how the response ended."""

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False

    @property
    def is_done(self) -> bool:
        return self._has_ended

    def add(self, piece: bytes) -> bytes:
        whole = super().add(piece)
        self._has_ended |= _RESPONSE_END.search(whole) is not None
        return whole


def _error_event(found: re.Match[bytes]) -> bytes:
    return b"data: " + _error(500, found[1], {}).body


def _last_end(piece: bytes) -> int:
    return max(piece.rfind(end) + len(end) if end in piece else 0 for end in (b"\n\n", b"\r\n\r\n"))


def _completion(body: bytes) -> dict[str, Any] | None:
    try:
        value = load_json(body.decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


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
