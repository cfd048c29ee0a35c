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
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from data.optional_arguments import relaxed, with_nulls, without_nulls
from data.row import JsonObject
from data.strict_json import load_json, to_json

RELAX_VARIABLE = "CALLTUNE_RELAX_STRICT_TOOLS"
TRAINING = "training.json"  # as `train.adapter` writes it, which would bring TRL with it

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Change = Callable[[Any, JsonObject], Any]
Schemas = dict[str, JsonObject]
"""Name of a strict function -> its schema as the client sent it, where the model sees another."""


class StrictTools:
    """ASGI middleware (https://asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format")."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self._relaxes_weights = os.environ.get(RELAX_VARIABLE) == "1"
        self._adapters: dict[str, bool] = {}
        """Name under which an adapter was loaded -> are strict functions relaxed for it?"""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            if scope["path"].endswith("/v1/chat/completions"):
                exchange = _Exchange(receive, send, self._relaxes)
                receive, send = exchange.receive, exchange.send
            elif scope["path"].endswith("/v1/load_lora_adapter"):
                receive = _Reading(receive, self._note_adapter)
        await self.app(scope, receive, send)

    def _relaxes(self, model: Any) -> bool:
        return self._adapters.get(model, self._relaxes_weights) if isinstance(model, str) else False

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

    def __init__(self, receive: Receive, send: Send, relaxes: Callable[[Any], bool]) -> None:
        self.receive = _Reading(receive, self._relax)
        self._send, self._relaxes = send, relaxes
        self._schemas: Schemas = {}
        self._start: Message | None = None
        self._stream: CallStream | None = None
        self._body = b""

    def _relax(self, body: bytes) -> bytes:
        body, self._schemas = relax_request(body, self._relaxes)
        return body

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._schemas:
            kind = dict(message.get("headers", [])).get(b"content-type", b"")
            if kind.startswith(b"application/json"):
                self._start = message
                return  # its length is not known yet
            if kind.startswith(b"text/event-stream"):
                self._stream = CallStream(self._schemas)
        elif message["type"] == "http.response.body" and self._stream:
            message = {**message, "body": self._stream.add(message.get("body", b""))}
        elif message["type"] == "http.response.body" and self._start:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = fill_answer(self._body, self._schemas)
            headers = [(key, value) for key, value in self._start["headers"] if key != b"content-length"]
            await self._send({**self._start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            message = {**message, "body": body}
        await self._send(message)


def relax_request(body: bytes, relaxes: Callable[[Any], bool]) -> tuple[bytes, Schemas]:
    """A chat request with its strict functions relaxed. What is no such request stays, the server's to refuse."""
    if b'"strict"' not in body:
        return body, {}
    try:
        request = json.loads(body)
        schemas = _relax(request) if relaxes(request["model"]) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return body, {}
    return (json.dumps(request).encode(), schemas) if schemas else (body, {})


def _relax(request: Any) -> Schemas:
    schemas: Schemas = {}
    for function in _functions(request, "tools"):
        sent = function.get("parameters")
        if function.get("strict") is True and isinstance(sent, dict) and (seen := relaxed(sent)) != sent:
            function["parameters"] = seen
            schemas[str(function.get("name"))] = sent
    for message in _objects(request, "messages"):
        _change_calls(message, schemas, without_nulls)
    return schemas


def fill_answer(body: bytes, schemas: Schemas) -> bytes:
    """A chat completion with the nulls of its strict calls; an error object stays as it is."""
    answer = json.loads(body)
    for choice in _objects(answer, "choices"):
        _change_calls(choice.get("message"), schemas, with_nulls)
    return json.dumps(answer).encode()


def _change_calls(message: Any, schemas: Schemas, change: Change) -> None:
    for function in _functions(message, "tool_calls"):
        if schema := schemas.get(str(function.get("name"))):
            function["arguments"] = _changed(function.get("arguments"), schema, change)


class CallStream:
    """The events of a streamed answer, in pieces of any size; arguments of strict calls wait for the call's end."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._rest = b""
        self._held: dict[int, tuple[JsonObject, JsonObject]] = {}
        """Choice -> the part of a call that waits, with its arguments so far, and its schema."""

    def add(self, piece: bytes) -> bytes:
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        return b"".join(given + b"\n\n" for event in events for given in self._passed(event))

    def _passed(self, event: bytes) -> Iterator[bytes]:
        if not event.startswith(b"data: {"):
            yield event
            return
        chunk = json.loads(event.removeprefix(b"data: "))
        ended: list[JsonObject] = []
        has_calls = False
        for choice in _objects(chunk, "choices"):
            if parts := list(_objects(choice.get("delta"), "tool_calls")):
                has_calls = True
                choice["delta"]["tool_calls"] = [part for part in parts if self._passes(part, choice, ended)]
            if choice.get("finish_reason"):
                ended += self._ended(choice)
        head = {key: value for key, value in chunk.items() if key != "usage"}
        yield from (_event(head | {"choices": [choice]}) for choice in ended)
        if not has_calls:
            yield event
        elif chunk.get("usage") or any(map(_says, _objects(chunk, "choices"))):
            yield _event(chunk)

    def _passes(self, part: JsonObject, choice: JsonObject, ended: list[JsonObject]) -> bool:
        """Is this part of a call sent on now? One that has nothing but arguments that wait is not."""
        number, function = choice.get("index", 0), part.get("function") or {}
        held = self._held.get(number)
        if held and held[0]["index"] != part.get("index"):
            ended += self._ended(choice)
            held = None
        if schema := self._schemas.get(str(function.get("name"))):
            waiting = {"index": part.get("index"), "function": {"arguments": function.get("arguments") or ""}}
            self._held[number] = waiting, schema
            function["arguments"] = ""
            return True
        if held:
            held[0]["function"]["arguments"] += function.get("arguments") or ""
        return not held

    def _ended(self, choice: JsonObject) -> list[JsonObject]:
        """What waited in this choice, as a choice of its own."""
        number = choice.get("index", 0)
        if number not in self._held:
            return []
        part, schema = self._held.pop(number)
        function = part["function"]
        function["arguments"] = _changed(function["arguments"], schema, with_nulls)
        return [{"index": number, "delta": {"tool_calls": [part]}, "finish_reason": None}]


def _changed(arguments: Any, schema: JsonObject, change: Change) -> Any:
    """Arguments as JSON text or an object; text that is no JSON, such as of a call that was cut off, as it is."""
    if not isinstance(arguments, str):
        return change(arguments, schema)
    try:
        before = load_json(arguments)
        after = change(before, schema)
    except (ValueError, RecursionError):
        return arguments
    return arguments if after == before else to_json(after)


def _says(choice: JsonObject) -> bool:
    """Is there more in a choice of a chunk than the number it has?"""
    delta = choice.get("delta") or {}
    rest = [value for key, value in choice.items() if key not in ("index", "delta")]
    return any(value not in (None, []) for value in [*delta.values(), *rest])


def _event(chunk: JsonObject) -> bytes:
    return b"data: " + json.dumps(chunk).encode()


def _functions(holder: Any, key: str) -> Iterator[JsonObject]:
    for entry in _objects(holder, key):
        if isinstance(function := entry.get("function"), dict):
            yield function


def _objects(holder: Any, key: str) -> Iterator[JsonObject]:
    """The objects in a list that may be anything: what clients send is not checked yet."""
    found = holder.get(key) if isinstance(holder, dict) else None
    yield from (each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
