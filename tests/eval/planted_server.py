"""A real HTTP endpoint in OpenAI's form whose models are each at fault in one planted way.

The model named `right` answers every item as expected; the others are named after what they do instead.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from data.row import JsonObject
from eval.suite import Item

Answerer = Callable[[Item], "JsonObject | Response"]


def completion(content: str | None, calls: list[tuple[str, str]], finish_reason: str = "stop") -> JsonObject:
    tool_calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": tool_calls or None}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], "usage": usage}


def right(item: Item) -> JsonObject:
    calls = [(call.name, json.dumps(call.arguments)) for call in item.expected_calls]
    return completion(item.expected_text or None, calls)


def altered(change: Callable[[str, JsonObject], tuple[str, Any]]) -> Answerer:
    """The right calls, each changed; an answer in words where none is expected."""

    def answer(item: Item) -> JsonObject:
        calls = [change(call.name, dict(call.arguments)) for call in item.expected_calls]
        texts = [(name, given if isinstance(given, str) else json.dumps(given)) for name, given in calls]
        return completion(None if calls else "Sure.", texts)

    return answer


def _dropped(arguments: JsonObject) -> JsonObject:
    return dict(list(arguments.items())[1:])


def _leaked(item: Item) -> str:
    return f'<tool_call>\n{{"name": "create_task", "arguments": {{"title": "{item.id}"}}'


PLANTED: dict[str, Answerer] = {
    "right": right,
    "wrong_value": altered(lambda name, given: (name, given | {"title": "Something else"})),
    "extra_argument": altered(lambda name, given: (name, given | {"colour": "red"})),
    "missing_argument": altered(lambda name, given: (name, _dropped(given))),
    "schema_violation": altered(lambda name, given: (name, given | {"size": str(given["size"])})),
    "wrong_tool": altered(lambda name, given: ("list_tasks", given)),
    "unknown_tool": altered(lambda name, given: ("destroy_task", given)),
    "invalid_json": altered(lambda name, given: (name, '{"title": ')),
    "wrong_count": lambda item: completion(None, [("create_task", '{"title": "a"}')] * 3),
    "unneeded_call": lambda item: completion(None, [("create_task", '{"title": "a"}')]),
    "leaked_call": lambda item: completion(_leaked(item), []),
    "truncated": lambda item: completion(_leaked(item), [], finish_reason="length"),
    "no_call": lambda item: completion("I will do that.", []),
    "empty_answer": lambda item: completion(" ", []),
    "error_500": lambda item: Response('{"error": {"message": "out of\\nmemory"}}', status_code=500),
    "too_long_400": lambda item: Response('{"error": {"message": "context"}}', status_code=400),
    "garbage": lambda item: Response("<html>hello", media_type="text/html"),
    "no_choices": lambda item: {"choices": []},
    "slow": right,
}


@contextmanager
def planted_server(items: list[Item], models: dict[str, Answerer] = PLANTED, key: str = "") -> Iterator[str]:
    """The base URL of a server that knows what these items expect."""
    server = uvicorn.Server(uvicorn.Config(_app(items, models, key), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the planted server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


def _app(items: list[Item], models: dict[str, Answerer], key: str) -> FastAPI:
    app = FastAPI()
    by_history = {json.dumps(item.messages, sort_keys=True): item for item in items}

    @app.get("/version")
    def version() -> JsonObject:
        return {"version": "0.32.0-planted"}

    @app.get("/v1/models")
    def list_models(request: Request) -> Any:
        if key and request.headers["authorization"] != f"Bearer {key}":
            return Response(status_code=401)
        return {"object": "list", "data": [{"id": name, "max_model_len": 4096} for name in models]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        body = await request.json()
        item = by_history[json.dumps(body["messages"], sort_keys=True)]
        if body["model"] == "slow":
            await asyncio.sleep(5)
        return models[body["model"]](item)

    return app
