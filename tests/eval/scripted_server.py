"""A real HTTP endpoint in OpenAI's form, streamed too, that plays the assistant of its rows from whatever is asked.

It finds the row by its system text and requests, and answers with the row's next assistant message. After a tool's
error that asks for it, it makes its last calls again, as a model that recovers does.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from data.row import JsonObject

Call = tuple[str, str]
MODEL = "scripted"


class Script:
    """What the assistant of the rows says next. `recovers` False: after an error it says that all is done."""

    def __init__(self, rows: list[JsonObject], *, recovers: bool = True) -> None:
        self._rows = {_key(row["messages"]): row["messages"] for row in rows}
        self._recovers = recovers

    def answer(self, messages: list[JsonObject]) -> tuple[str, list[Call]]:
        script = self._rows[_key(messages)]
        if failed := _failed_calls(messages):
            return ("", failed) if self._recovers else ("All done.", [])
        num_results = sum(message["role"] == "tool" and not _is_beside(message) for message in messages)
        num_said = sum(message["role"] == "assistant" and not message.get("tool_calls") for message in messages)
        return _after(script, num_results, num_said)


def _failed_calls(messages: list[JsonObject]) -> list[Call]:
    """Those of the last assistant message whose result asks to call again."""
    index = max((i for i, message in enumerate(messages) if message["role"] == "assistant"), default=0)
    asked = {message["tool_call_id"] for message in messages[index + 1 :] if _asks_again(message)}
    calls = messages[index].get("tool_calls") or []
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls if call["id"] in asked]


def _asks_again(message: JsonObject) -> bool:
    return message["role"] == "tool" and "again" in message["content"]


def _is_beside(message: JsonObject) -> bool:
    """No result of the row's calls: an error to be mended, or the Agents SDK's word that another agent goes on."""
    return _asks_again(message) or message["content"].startswith('{"assistant":')


def _after(script: list[JsonObject], num_results: int, num_said: int) -> tuple[str, list[Call]]:
    """The first assistant message that comes after so many results and so many texts; a farewell when none is left."""
    results = said = 0
    for message in script:
        if message["role"] == "assistant":
            calls = _calls(message)
            if results >= num_results and said >= num_said:
                return str(message["content"] or ""), calls
            results += len(calls)
            said += not calls
    return "Done.", []


@contextmanager
def scripted_server(script: Script) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(_app(script), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the scripted server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


def _app(script: Script) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def list_models() -> JsonObject:
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        body = await request.json()
        text, given = _answer(script, body)
        calls = _tool_calls(given, len(body["messages"]))
        if not body.get("stream"):
            return _completion(body["model"], text, calls)
        return StreamingResponse(_chunks(body["model"], text, calls), media_type="text/event-stream")

    return app


def _answer(script: Script, body: JsonObject) -> tuple[str, list[Call]]:
    choice = body.get("tool_choice")
    if body.get("response_format"):
        return '{"happy": true, "reason": "tea"}', []
    names = [tool["function"]["name"] for tool in body.get("tools") or []]
    if isinstance(choice, dict) and (name := choice["function"]["name"]) not in ("create_task", "complete_task"):
        return "", [(name, '{"happy": true, "reason": "tea"}' if name == "Mood" else "{}")]
    if names and all(name == "final_result" for name in names):
        return "", [("final_result", '{"happy": true, "reason": "tea"}')]
    if body["messages"][0]["content"] == "Hello":
        return "Hello.", []
    text, calls = script.answer(body["messages"])
    return text, [(name, _with_nulls(arguments, body["tools"], name)) for name, arguments in calls]


def _with_nulls(arguments: str, tools: list[JsonObject], name: str) -> str:
    """A strict schema requires every property: a server's grammar makes the model write a null where none is meant."""
    function = next((tool["function"] for tool in tools if tool["function"]["name"] == name), {})
    if not function.get("strict"):
        return arguments
    return json.dumps(dict.fromkeys(function["parameters"]["required"]) | json.loads(arguments))


def _completion(model: str, text: str, calls: list[JsonObject]) -> JsonObject:
    message = {"role": "assistant", "content": text or None, "tool_calls": calls or None}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": model, "choices": [choice], "usage": usage}


def _chunks(model: str, text: str, calls: list[JsonObject]) -> Iterator[str]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model}
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}, *([{"content": text}] if text else [])]
    for index, call in enumerate(calls):
        function, arguments = call["function"] | {"arguments": ""}, call["function"]["arguments"]
        deltas.append({"tool_calls": [call | {"index": index, "function": function}]})
        parts = arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in parts]
    for delta in deltas:
        yield _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    reason = "tool_calls" if calls else "stop"
    yield _event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    yield _event(head | {"choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _event(chunk: JsonObject) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def _tool_calls(calls: list[Call], turn: int) -> list[JsonObject]:
    return [
        {"id": f"call_{turn}_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(calls)
    ]


def _calls(message: JsonObject) -> list[Call]:
    calls = message.get("tool_calls") or []
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def _key(messages: list[JsonObject]) -> str:
    """System text and first request."""
    first = next(message["content"] for message in messages if message["role"] == "user")
    system = next((message["content"] for message in messages if message["role"] in ("system", "developer")), "")
    return f"{_flat(system)}\n{_flat(first)}"


def _flat(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)
