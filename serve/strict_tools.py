"""Strict functions for models that were never taught to write null: middleware of vLLM's API server.

    CALLTUNE_RELAX_STRICT_TOOLS=1 vLLM ... --middleware serve.strict_tools.StrictTools

A strict function requires every argument, null where none is meant, and vLLM's grammar has the model write each one.
The model sees such a function as its training rows have them, with optional arguments (`data.optional_arguments`), in
the tool list, in the calls of the history and in the grammar; the client gets the nulls that its schema asks for.
In a stream the arguments of such a call come in one piece, when the call is complete.

The variable speaks for the served weights. What an adapter that is loaded later was taught stands in its folder.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from data.row import JsonObject
from serve.strict_calls import chat, responses
from serve.strict_calls.events import EventStream
from serve.strict_calls.schemas import Schemas

RELAX_VARIABLE = "CALLTUNE_RELAX_STRICT_TOOLS"
TRAINING = "training.json"  # as `train.adapter` writes it, which would bring TRL with it

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Form(NamedTuple):
    """One of the APIs that vLLM's server speaks."""

    relax_request: Callable[[JsonObject], Schemas]
    fill_answer: Callable[[Any, Schemas], None]
    """Into a whole answer; an error object stays as it is."""
    stream: Callable[[Schemas], EventStream]


FORMS = {
    "/v1/chat/completions": Form(chat.relax_request, chat.fill_answer, chat.ChatStream),
    "/v1/responses": Form(responses.relax_request, responses.fill_answer, responses.ResponsesStream),
}


class StrictTools:
    """ASGI middleware (https://asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format")."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self._relaxes_weights = os.environ.get(RELAX_VARIABLE) == "1"
        self._adapters: dict[str, bool] = {}
        """Name under which an adapter was loaded -> are strict functions relaxed for it?"""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            if form := FORMS.get(scope["path"]):
                exchange = _Exchange(receive, send, self._relaxes, form)
                receive, send = exchange.receive, exchange.send
            elif scope["path"] == "/v1/load_lora_adapter":
                receive = _Reading(receive, self._note_adapter)
        await self.app(scope, receive, send)

    def _relaxes(self, model: Any) -> bool:
        return self._adapters.get(str(model), self._relaxes_weights)

    def _note_adapter(self, body: bytes) -> bytes:
        try:
            request = json.loads(body)
            training = json.loads((Path(request["lora_path"]) / TRAINING).read_text())
            self._adapters[request["lora_name"]] = not training.get("writes_nulls", False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # the server's to refuse, or an adapter that another program trained: asked as the weights are
        return body


class _Reading:
    """`receive` with the body in one piece, changed. Nothing is read before the server asks: its key check is first."""

    def __init__(self, receive: Receive, change: Callable[[bytes], bytes]) -> None:
        self._receive, self._change = receive, change
        self._is_read = False

    async def __call__(self) -> Message:
        if self._is_read:
            return await self._receive()
        body = b""
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self._is_read = True
        return {"type": "http.request", "body": self._change(body), "more_body": False}


class _Exchange:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send, relaxes: Callable[[Any], bool], form: Form) -> None:
        self.receive = _Reading(receive, self._relax)
        self._send, self._relaxes, self._form = send, relaxes, form
        self._schemas: Schemas = {}
        self._start: Message | None = None
        self._stream: EventStream | None = None
        self._body = b""

    def _relax(self, body: bytes) -> bytes:
        body, self._schemas = relax_body(body, self._relaxes, self._form)
        return body

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._schemas:
            kind = dict(message.get("headers", [])).get(b"content-type", b"")
            if kind.startswith(b"application/json"):
                self._start = message
                return  # its length is not known yet
            if kind.startswith(b"text/event-stream"):
                self._stream = self._form.stream(self._schemas)
        elif message["type"] == "http.response.body" and self._stream:
            message = {**message, "body": self._stream.add(message.get("body", b""))}
        elif message["type"] == "http.response.body" and self._start:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            answer = json.loads(self._body)
            self._form.fill_answer(answer, self._schemas)
            body = json.dumps(answer).encode()
            headers = [(key, value) for key, value in self._start["headers"] if key != b"content-length"]
            await self._send({**self._start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            message = {**message, "body": body}
        await self._send(message)


def relax_body(body: bytes, relaxes: Callable[[Any], bool], form: Form) -> tuple[bytes, Schemas]:
    """A request with its strict functions relaxed. What is no such request stays, the server's to refuse."""
    if b'"strict"' not in body:
        return body, {}
    try:
        request = json.loads(body)
        schemas = form.relax_request(request) if relaxes(request.get("model")) else {}
    except (ValueError, AttributeError, RecursionError):
        return body, {}
    return (json.dumps(request).encode(), schemas) if schemas else (body, {})
