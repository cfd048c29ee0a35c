"""A strict function and calls of it, and a server of planted answers behind the middleware that relaxes it."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from data.row import JsonObject
from serve.strict_tools import Message, StrictTools

PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
SEEN = PARAMETERS | {"properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}
CHAT = "/v1/chat/completions"
BARE, FULL = '{"city": "Zürich"}', '{"city": "Zürich", "unit": null}'


def tool(name: str = "weather", **function: Any) -> JsonObject:
    return {"type": "function", "function": {"name": name, "parameters": PARAMETERS, "strict": True} | function}


def call(arguments: Any, name: str = "weather", **more: Any) -> JsonObject:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def item(arguments: str, name: str = "weather", **more: Any) -> JsonObject:
    return {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": name, "arguments": arguments} | more


def request(*tools: JsonObject, **more: Any) -> bytes:
    return json.dumps({"model": "tuned", "messages": [], "tools": list(tools) or [tool()]} | more).encode()


class Server:
    """What stands behind the middleware: it keeps what it is asked, and gives a planted answer in pieces."""

    def __init__(self, answer: Any = None, pieces: Iterable[bytes] | None = None, status: int = 200) -> None:
        self.kind = b"text/event-stream" if pieces else b"application/json"
        self.pieces = list(pieces or [json.dumps(answer).encode()])
        self.status = status
        self.asked = b""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.asked += message["body"]
            if not message["more_body"]:
                break
        length = (
            [] if self.kind == b"text/event-stream" else [(b"content-length", str(sum(map(len, self.pieces))).encode())]
        )
        headers = [(b"content-type", self.kind), *length]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def through(
    middleware: StrictTools, body: bytes, path: str = "/v1/chat/completions"
) -> tuple[dict[bytes, bytes], bytes]:
    """Headers and body of the answer; the request comes in two pieces."""
    incoming = [
        {"type": "http.request", "body": body[:7], "more_body": True},
        {"type": "http.request", "body": body[7:], "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(middleware({"type": "http", "method": "POST", "path": path}, receive, send))
    assert sent[0]["type"] == "http.response.start" and not sent[-1].get("more_body")
    return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])
