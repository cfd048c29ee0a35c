"""An OpenAI-compatible chat server whose answers are planted: what a client must get is known byte for byte.

    python -m tests.serve.planted_vllm PORT [SECONDS_BETWEEN_TOKENS]

The last user message says what comes: "call" a tool call, "fail" HTTP 400 as vLLM words it, "break" a connection that
ends in the middle, "half" one that ends in the middle of an event, "cut" a stream that ends without its last event,
"told" one with vLLM's own error event in it, "fault" HTTP 500, "eat" memory until there is none, "slow" a stream that
waits a second before its end, "tokens N" a stream of N tokens; else text. Adapters (ft:...) have to be loaded.
"""

import asyncio
import json
import sys
import uuid
from typing import Any

from aiohttp import web

ARGUMENTS = '{"city": "Graz \\u00fc"}'
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}
TEXT = "It is 22 °C in Graz.\u2028 🙂"
USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}


def completion(body: dict[str, Any], message: dict[str, Any], reason: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": 1795300000,
        "model": body["model"], "usage": USAGE, "kept_key": [1, {"a": None}],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
    }  # fmt: skip


def chunks(body: dict[str, Any], wish: str) -> list[dict[str, Any]]:
    if wish == "call":
        function = {"name": "get_weather", "arguments": ""}
        deltas: list[dict[str, Any]] = [
            {"role": "assistant", "content": None},
            {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]},
        ]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": letter}}]} for letter in ARGUMENTS]
    elif wish.startswith("tokens"):
        deltas = [{"role": "assistant", "content": ""}, *({"content": f" {n}"} for n in range(int(wish.split()[1])))]
    else:
        deltas = [{"role": "assistant", "content": ""}, *({"content": letter} for letter in TEXT)]
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": 1795300000,
        "model": body["model"],
    }  # fmt: skip
    reason = "tool_calls" if wish == "call" else "stop"
    told = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return [*told, head | {"choices": [], "usage": USAGE}]


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    request.app["asked"].append({"body": body, "authorization": request.headers.get("authorization")})
    wish = str(body["messages"][-1].get("content"))
    if body["model"].startswith("ft:") and body["model"] not in request.app["adapters"]:
        return web.json_response({"error": {"message": "The model does not exist.", "code": 404}}, status=404)
    if wish == "eat":
        request.app["eaten"] = [b"x" * 2**20 for _ in range(128)]
    if wish == "fault":
        return web.json_response({"error": {"message": "EngineCore encountered an issue.", "code": 500}}, status=500)
    if wish == "fail":
        error = {"message": "max_tokens is too large", "type": "BadRequestError", "param": "max_tokens", "code": 400}
        return web.json_response({"error": error}, status=400)
    if not body.get("stream"):
        message = {"role": "assistant", "content": None, "tool_calls": [CALL]} if wish == "call" else None
        message = message or {"role": "assistant", "content": TEXT, "refusal": None}
        text = json.dumps(completion(body, message, "tool_calls" if wish == "call" else "stop"), ensure_ascii=False)
        return web.Response(text=text, content_type="application/json")
    answer = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    await answer.prepare(request)
    for number, chunk in enumerate(chunks(body, wish)):
        if wish in ("break", "half") and number == 3:
            await answer.write(b'data: {"id": "chat' if wish == "half" else b"")
            await asyncio.sleep(0.1)
            assert request.transport
            request.transport.abort()
            return answer
        if wish == "cut" and number == 3:
            return answer
        if wish == "told" and number == 3:  # as vLLM tells that its engine is dead
            error = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}
            await answer.write(f"data: {json.dumps({'error': error | {'param': None}})}\n\n".encode())
            break
        await answer.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
        await asyncio.sleep(request.app["pause_s"] if wish.startswith("tokens") else 0)
    await asyncio.sleep(1 if wish == "slow" else 0)
    await answer.write(b"data: [DONE]\n\n")
    return answer


async def respond(request: web.Request) -> web.StreamResponse:
    """The Responses API: "fail" and "cut" as above, else one call."""
    body = await request.json()
    request.app["asked"].append({"body": body, "authorization": request.headers.get("authorization")})
    if body["model"].startswith("ft:") and body["model"] not in request.app["adapters"]:
        return web.json_response({"error": {"message": "The model does not exist.", "code": 404}}, status=404)
    if body["input"] == "fail":
        error = {"message": "input is too long", "type": "BadRequestError", "param": "input", "code": 400}
        return web.json_response({"error": error}, status=400)
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather", "arguments": ARGUMENTS}
    whole = {
        "id": "resp_1", "object": "response", "created_at": 1795300000, "model": body["model"], "status": "completed",
        "output": [item], "tools": [], "parallel_tool_calls": True, "tool_choice": "auto",
    }  # fmt: skip
    if not body.get("stream"):
        return web.json_response(whole)
    answer = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    await answer.prepare(request)
    events = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events[: 2 if body["input"] == "cut" else 3]):
        data = json.dumps(event | {"sequence_number": number})
        await answer.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
    return answer


async def asked(request: web.Request) -> web.Response:
    """What was asked last."""
    return web.json_response(request.app["asked"][-1])


async def count(request: web.Request) -> web.Response:
    """How many were asked."""
    return web.json_response(len(request.app["asked"]))


async def health(request: web.Request) -> web.Response:
    return web.Response()


async def load_adapter(request: web.Request) -> web.Response:
    request.app["adapters"].add((await request.json())["lora_name"])
    return web.Response(text="Success")


async def unload_adapter(request: web.Request) -> web.Response:
    request.app["adapters"].discard((await request.json())["lora_name"])
    return web.Response(text="Success")


def make_app(pause_s: float) -> web.Application:
    app = web.Application()
    app["asked"], app["pause_s"], app["adapters"] = [], pause_s, set()
    app.add_routes([web.post("/v1/chat/completions", chat), web.post("/v1/responses", respond)])
    app.add_routes([web.get("/asked", asked)])
    app.add_routes([web.get("/count", count), web.get("/health", health)])
    app.add_routes([web.post("/v1/load_lora_adapter", load_adapter)])
    app.add_routes([web.post("/v1/unload_lora_adapter", unload_adapter)])
    return app


if __name__ == "__main__":
    pause_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.002
    web.run_app(make_app(pause_s), host="127.0.0.1", port=int(sys.argv[1]), print=None)
