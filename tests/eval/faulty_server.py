"""A real HTTP endpoint that plants one fault of a known kind at each item, at every layer where something can be lost.

It answers as vLLM does: at once with the tokens of what the model wrote (here: the characters' numbers), or streamed.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from data.row import JsonObject
from eval.item import Item

Plant = Literal[
    "none", "swapped_name", "extra_key", "string_for_number", "wrong_value", "left_in_content", "broken_arguments",
    "broken_stream", "stream_without_end", "stream_loses_call", "slow", "error_500",
]  # fmt: skip
PLANTS: tuple[Plant, ...] = get_args(Plant)
SLOW_S = 30
Call = tuple[str, JsonObject]


class Answer:
    """What the model wrote, what the server makes of it at once, and what it streams."""

    def __init__(self, item: Item, plant: Plant) -> None:
        wanted = [(call.name, dict(call.arguments)) for call in item.expected_calls]
        calls = [_changed(call, plant) for call in wanted]
        texts = [(name, json.dumps(arguments)) for name, arguments in calls]
        tagged = [f'<tool_call>\n{{"name": "{name}", "arguments": {text}}}\n</tool_call>' for name, text in texts]
        self.written = item.expected_text + "".join(tagged)
        is_left = plant == "left_in_content" and bool(calls)
        self.content = self.written if is_left else item.expected_text
        cut = [(name, text[:-1]) for name, text in texts]
        self.calls = [] if is_left else cut if plant == "broken_arguments" else texts
        self.streamed_calls = [] if plant == "stream_loses_call" else self.calls


def _changed(call: Call, plant: Plant) -> Call:
    name, arguments = call
    match plant:
        case "swapped_name":
            return "list_tasks", arguments
        case "extra_key":
            return name, arguments | {"colour": "red"}
        case "string_for_number":
            return name, arguments | {"size": str(arguments["size"])}
        case "wrong_value":
            return name, arguments | {"title": "Something else"}
        case _:
            return call


@contextmanager
def faulty_server(items: list[Item], plants: dict[str, Plant], *, tells_tokens: bool = True) -> Iterator[str]:
    """The base URL of a server that meets the item of each id with its plant."""
    by_request = {json.dumps(item.messages): (item, plants[item.id]) for item in items}
    app = _app(by_request, tells_tokens)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the faulty server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


def _app(items: dict[str, tuple[Item, Plant]], tells_tokens: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def list_models() -> JsonObject:
        return {"object": "list", "data": [{"id": name} for name in ("faulty", "right")]}

    @app.post("/detokenize")
    async def detokenize(request: Request) -> Any:
        tokens = (await request.json())["tokens"]
        return {"prompt": "".join(map(chr, tokens)) + "<|im_end|>"}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        body = await request.json()
        item, plant = items[json.dumps(body["messages"])]
        plant = plant if body["model"] == "faulty" else "none"
        answer = Answer(item, plant)
        if plant == "error_500":
            return Response('{"error": {"message": "out of memory"}}', status_code=500)
        if plant == "slow":
            await asyncio.sleep(SLOW_S)
        if body.get("stream"):
            return StreamingResponse(_stream(answer, plant), media_type="text/event-stream")
        return _at_once(answer, tells_tokens)

    return app


def _at_once(answer: Answer, tells_tokens: bool) -> JsonObject:
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(answer.calls)
    ]
    message = {"role": "assistant", "content": answer.content or None, "tool_calls": calls or None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"choices": [choice | ({"token_ids": list(map(ord, answer.written))} if tells_tokens else {})]}


async def _stream(answer: Answer, plant: Plant) -> AsyncIterator[str]:
    deltas: list[JsonObject] = [{"role": "assistant", "content": answer.content}]
    for index, (name, arguments) in enumerate(answer.streamed_calls):
        function = {"name": name, "arguments": arguments}
        deltas.append({"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": function}]})
    for delta in deltas:
        yield _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if plant == "broken_stream":
            raise ConnectionError("planted")
    if plant != "stream_without_end":
        yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield "data: [DONE]\n\n"


def _event(chunk: JsonObject) -> str:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "faulty"}
    return f"data: {json.dumps(head | chunk)}\n\n"
