"""An endpoint that answers every request after the same time, and the least a client can do to it.

Both speak just enough HTTP over bare sockets to cost next to nothing: what is measured with them is the other side.
"""

import asyncio
import json
import multiprocessing
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection

_CALL = {"name": "create_task", "arguments": '{"title": "Buy milk", "due": "2026-03-15", "priority": "high"}'}
_MESSAGE = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": _CALL}]}
_BODY = json.dumps(
    {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fixed",
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 444, "completion_tokens": 32, "total_tokens": 476},
    }
).encode()  # fmt: skip
_HEAD_END = b"\r\n\r\n"
MAX_CONNECTIONS = 900
"""select(2) takes no file descriptor from 1,024 on."""


def _message(first_line: str, body: bytes) -> bytes:
    head = f"{first_line}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}".encode()
    return head + _HEAD_END + body


@contextmanager
def fixed_delay_server(delay_s: float) -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(delay_s, theirs), daemon=True)
    process.start()
    theirs.close()  # or a child that dies before it tells its port would be waited for for ever
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


async def time_bare_client(base_url: str, request: bytes, num_requests: int, concurrency: int) -> float:
    """Seconds for these requests when nothing but their bytes is sent and received."""
    host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")
    loop = asyncio.get_running_loop()
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(concurrency)]
    message = _message("POST /v1/chat/completions HTTP/1.1", request)
    left = iter(range(num_requests))
    start = time.perf_counter()
    for future in done:
        await loop.create_connection(partial(_Client, message, left, future), host, int(port))
    await asyncio.gather(*done)
    return time.perf_counter() - start


class _Http(asyncio.Protocol):
    """Calls `on_message` for every whole HTTP message."""

    def __init__(self, on_message: Callable[[], object]) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._on_message = on_message

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, message: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:head_end].lower()
            _, _, after = head.partition(b"content-length:")
            end = head_end + len(_HEAD_END) + int(after.split(b"\r\n", 1)[0] or 0)
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            self._on_message()


class _Server(_Http):
    def __init__(self, delay_s: float) -> None:
        answer, loop = _message("HTTP/1.1 200 OK", _BODY), asyncio.get_running_loop()
        super().__init__(lambda: loop.call_later(delay_s, self.send, answer))


class _Client(_Http):
    def __init__(self, request: bytes, left: Iterator[int], done: asyncio.Future[None]) -> None:
        super().__init__(self._next)
        self._request, self._left, self._done = request, left, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._next()

    def _next(self) -> None:
        if next(self._left, None) is not None:
            self.send(self._request)
        else:
            self._done.set_result(None)


def _serve(delay_s: float, parent: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Server(delay_s), "127.0.0.1", 0)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    # epoll waits whole milliseconds, rounded up, so a delay would be half of one too long; select counts microseconds.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve())
