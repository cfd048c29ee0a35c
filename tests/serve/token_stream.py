"""A chat server that costs next to nothing: prepared tokens at a fixed pace, for measuring what stands before it.

    python -m tests.serve.token_stream PORT SECONDS_BETWEEN_TOKENS

The last user message says how many tokens come: "tokens N". Plain asyncio, since a framework's time would be measured.
The pace is that of a clock, as that of a GPU is: a token that came late, since another program had the processor,
makes none after it late.
"""

import asyncio
import itertools
import re
import sys
from typing import Any

import uvloop

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)  # fmt: skip
numbers = itertools.count()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(number: int, choices: bytes, usage: bytes = b"null") -> bytes:
    text = b'data: {"id": "chatcmpl-%016d", "object": "chat.completion.chunk", "created": 1795300000, "model": "m", '
    return chunk(text % number + b'"choices": [%s], "usage": %s}\n\n' % (choices, usage))


class TokenStream(asyncio.Protocol):
    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not blank or not length or len(body) < int(length[1]):
            return
        self.received = b""
        wish = re.search(rb"tokens (\d+)", body)
        assert wish, body
        self.transport.write(HEAD)
        self.tell(next(numbers), 0, int(wish[1]), asyncio.get_running_loop().time())

    def tell(self, stream: int, token: int, last: int, began_s: float) -> None:
        if self.transport.is_closing():
            return
        if token < last:
            self.transport.write(
                event(stream, b'{"index": 0, "delta": {"content": " %d"}, "finish_reason": null}' % token)
            )
            next_s = began_s + (token + 1) * self.pause_s
            asyncio.get_running_loop().call_at(next_s, self.tell, stream, token + 1, last, began_s)
            return
        end = event(stream, b'{"index": 0, "delta": {}, "finish_reason": "stop"}')
        usage = event(stream, b"", b'{"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}')
        self.transport.write(end + usage + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def main(port: int, pause_s: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: TokenStream(pause_s), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
