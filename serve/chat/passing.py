"""A request handed on and its answer handed back, byte for byte; what is to be stored is stored before the end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from data.strict_json import load_json
from serve.chat.stream_assembly import StreamAssembly
from serve.transport.errors import error_body

logger = logging.getLogger("calltune.api")
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
    """A stream as it comes. The event that ends it waits until the answer is stored.

    Starlette's own goes through a task group and an iterator for each piece.
    """

    def __init__(
        self, answer: aiohttp.ClientResponse, store: Store | None, leave: Callable[[], Awaitable[None]]
    ) -> None:
        """`leave` is called when the stream has ended, however it did."""
        super().__init__(None, 200, _headers(answer), answer.headers.get("content-type", "text/event-stream"))
        del self.headers["content-length"]
        self._answer, self._store, self._leave = answer, store, leave
        self._client_is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._pass_on(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except aiohttp.ClientError:
            if not self._client_is_gone:
                raise
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
        while piece := await self._answer.content.readany():
            if assembly and self._store and not assembly.is_done:
                before = assembly.add(piece)
                if assembly.is_done:
                    await send({"type": "http.response.body", "body": piece[:before], "more_body": True})
                    await self._store(assembly.completion())
                    piece = piece[before:]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if assembly:
                assembly.fold()


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
