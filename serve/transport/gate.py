"""What every request passes: an id, the caller's key, limits of size and time; then one line of log, one of measures.

Plain ASGI: a framework's middleware would copy every piece of a stream.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.storage.ids import new_id
from serve.transport.access import Caller, KeyRing
from serve.transport.errors import FINAL, ApiError
from serve.transport.measures import Measures
from serve.transport.rates import RateLimits

logger = logging.getLogger("calltune.api")
OPEN_PATHS = {"/", "/health", "/metrics", "/favicon.ico"}
MULTIPART_BYTES = 1 << 16
"""What a form may hold beside its file."""


class Limits(NamedTuple):
    body_bytes: int
    file_bytes: int
    receive_timeout_s: float


class Gate:
    def __init__(self, app: ASGIApp, keys: KeyRing, rates: RateLimits, limits: Limits, measures: Measures) -> None:
        self.app, self.keys, self.rates, self.limits, self.measures = app, keys, rates, limits, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, self._size_limit(scope["path"]), self.limits.receive_timeout_s)
        scope["state"]["request_id"] = passage.id
        with self.measures.open_requests.track_inprogress():
            try:
                scope["state"]["caller"] = passage.caller = await self._admit(scope)
                passage.require_size(scope)
                await self.app(scope, passage.receive, passage.send)
            except ApiError as error:
                await passage.refuse(error)
            finally:
                self._note(passage, scope)

    async def _admit(self, scope: Scope) -> Caller | None:
        if scope["path"] in OPEN_PATHS:
            return None
        if not self.keys.is_fresh:
            await self._asked(self.keys.read)
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        caller = self.keys.caller(given)
        if not self.rates.take_held(caller):
            await self._asked(self.rates.take, caller)
        return caller

    async def _asked(self, question: Callable[..., None], *arguments: Any) -> None:
        """Something that only the database knows, asked in a thread."""
        try:
            await run_in_threadpool(question, *arguments)
        except ApiError:
            raise
        except Exception as error:  # whatever the database raises, nobody is let in unseen
            reason = " ".join(str(error).split())
            logger.error("keys cannot be read", extra={"reason": reason})
            raise ApiError(
                503, "The database cannot be reached", kind="server_error", code="database_unavailable",
                headers={"Retry-After": "1"},
            ) from error  # fmt: skip

    def _size_limit(self, path: str) -> int:
        return self.limits.file_bytes + MULTIPART_BYTES if path == "/v1/files" else self.limits.body_bytes

    def _note(self, passage: "_Passage", scope: Scope) -> None:
        seconds = time.perf_counter() - passage.began
        route = getattr(scope.get("route"), "path", "none")
        self.measures.requests.labels(route, scope["method"], passage.status).inc()
        self.measures.seconds.labels(route).observe(seconds)
        logger.info(
            "request",
            extra={
                "request_id": passage.id, "method": scope["method"], "route": route, "status": passage.status,
                "ms": round(seconds * 1000, 1), "key": passage.caller.name if passage.caller else None,
            },
        )  # fmt: skip


class _Passage:
    """One request on its way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, size_limit: int, receive_timeout_s: float) -> None:
        self.id = new_id("req_")
        self.began = time.perf_counter()
        self.caller: Caller | None = None
        self.status = 0
        """0: no answer was begun."""
        self._receive, self._send = receive, send
        self._left, self._size_limit, self._timeout_s = size_limit, size_limit, receive_timeout_s
        self._is_received = False

    def require_size(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._size_limit:
                raise self._too_large()

    async def receive(self) -> Message:
        if self._is_received:  # what comes now is the end of the connection, however late
            return await self._receive()
        try:
            async with asyncio.timeout(self._timeout_s):  # wait_for would make a task for it
                message = await self._receive()
        except TimeoutError as error:
            raise ApiError(408, "The request was not sent in time", headers={**FINAL, "connection": "close"}) from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        self._is_received = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.id.encode())]
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        if self.status:  # an answer is on its way already: the connection can only be broken off
            return
        body = json.dumps(error.body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **(error.headers or {})}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": error.status_code, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})

    def _too_large(self) -> ApiError:
        message = f"The request is larger than {self._size_limit} bytes"
        return ApiError(413, message, code="request_too_large", headers={"connection": "close"})
