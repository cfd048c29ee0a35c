"""A real HTTP endpoint that speaks chat completions; each model it serves behaves in one scripted way.

The tool list is PING of `tests.data.rows`, the requests read `Ping NAME`. A behaviour is told by the name of its model.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from data.distillation.answer_journal import open_journal
from data.distillation.playing import EndpointAddress, Played, play_all
from data.distillation.request_file import read_requests
from data.distillation.settings import DistillSection
from data.row import JsonObject
from tests.models import write_rows

USAGE = {"prompt_tokens": 300, "completion_tokens": 50}
Behaviour = Callable[[JsonObject, int], "JsonObject | Response"]
"""From the request's body, and how often it came before, to the answer."""


def completion(text: str | None, *calls: tuple[str, Any], finish_reason: str = "stop", ids: bool = True) -> JsonObject:
    tool_calls = [
        {"type": "function", "function": {"name": name, "arguments": arguments}} | ({"id": f"x{i}"} if ids else {})
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": tool_calls or None}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], "usage": USAGE}


def asked_host(body: JsonObject) -> str:
    return str(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")).removeprefix("Ping ")


def num_turns(body: JsonObject) -> int:
    """Calling turns after the user's message."""
    last = max(index for index, message in enumerate(body["messages"]) if message["role"] == "user")
    return sum(message["role"] == "assistant" for message in body["messages"][last:])


def pings(*hosts: str) -> list[tuple[str, Any]]:
    return [("ping", json.dumps({"host": host})) for host in hosts]


def calling(*turns: Callable[[JsonObject], JsonObject]) -> Behaviour:
    """One answer a turn, then a plain one."""

    def answer(body: JsonObject, _: int) -> JsonObject:
        turn = num_turns(body)
        return turns[turn](body) if turn < len(turns) else completion(f"{asked_host(body)} answers.")

    return answer


def _right(body: JsonObject) -> JsonObject:
    return completion(None, *pings(asked_host(body)))


def _mistaken(body: JsonObject) -> JsonObject:
    return completion(None, ("ping", json.dumps({"address": asked_host(body)})))


def _by_seed(*hosts: str) -> Behaviour:
    return calling(lambda body: completion(None, *pings(hosts[body["seed"] % len(hosts)])))


def first_fails(status: int, headers: dict[str, str]) -> Behaviour:
    """Each request fails when it comes for the first time."""

    def answer(body: JsonObject, before: int) -> JsonObject | Response:
        return Response("busy", status_code=status, headers=headers) if before == 0 else calling(_right)(body, before)

    return answer


def _both(body: JsonObject) -> JsonObject:
    """Two calls in an order of the seed's; the second has its number once as 1 and once as 1.0."""
    calls = [("ping", '{"host": "a"}'), ("ping", f'{{"n": {"1" if body["seed"] % 2 else "1.0"}, "host": "b"}}')]
    return completion("Both.", *(calls if body["seed"] % 2 else calls[::-1]))


def _with_reasoning(answer: JsonObject | Response) -> JsonObject:
    assert isinstance(answer, dict)
    answer["choices"][0]["message"]["reasoning_content"] = "Hm."
    return answer


BEHAVIOURS: dict[str, Behaviour] = {
    "right": calling(_right),
    "two_of_three": _by_seed("a", "b", "b"),
    "all_differ": _by_seed("a", "b", "c"),
    "any_order": calling(_both),
    "mends": calling(_mistaken, _right),
    "one_mends": lambda body, n: calling(*([_mistaken, _right] if body["seed"] == 0 else [_right]))(body, n),
    "gives_up": calling(_mistaken),
    "no_ids": calling(lambda body: completion(None, *pings("a", "b"), ids=False)),
    "object_arguments": calling(lambda body: completion(None, ("ping", {"host": asked_host(body)}))),
    "no_call": lambda body, n: completion(" Which host do you mean? "),
    "broken_json": calling(lambda body: completion(None, ("ping", '{"host": '))),
    "one_broken": lambda body, n: calling(
        _right if body["seed"] else lambda body: completion(None, ("ping", "{")),
    )(body, n),
    "unknown_tool": calling(lambda body: completion(None, ("pong", "{}")), _right),
    "leaked_call": lambda body, n: completion('<tool_call>{"name": "ping", "arguments": {}}</tool_call>'),
    "reasons_apart": lambda body, n: _with_reasoning(calling(_right)(body, n)),
    "reasoning": lambda body, n: completion("<think>Hm.</think>Hello."),
    "control_token": lambda body, n: completion("Bye.<|im_end|>"),
    "truncated": lambda body, n: completion("I will now", finish_reason="length"),
    "empty": lambda body, n: completion("  "),
    "never_ends": lambda body, n: completion(None, *pings(asked_host(body))),
    "error_500": lambda body, n: Response("out of\nmemory", status_code=500),
    "error_400": lambda body, n: Response("too many tokens", status_code=400),
    "garbage": lambda body, n: Response("<html>hello", media_type="text/html"),
    "first_500": first_fails(500, {}),
    "first_429": first_fails(429, {"retry-after": "0.05"}),
    "slow": calling(_right),
    "no_usage": lambda body, n: {key: value for key, value in completion("Hello.").items() if key != "usage"},
    "rewords": lambda body, n: completion(f"Hey, {body['messages'][-1]['content']}"),
    "rewords_away": lambda body, n: completion("Do it."),
}


class ScriptedTeacher:
    def __init__(self, behaviours: dict[str, Behaviour], delay_s: float) -> None:
        self.behaviours, self.delay_s = behaviours, delay_s
        self.base_url = ""
        self.asked: Counter[str] = Counter()
        """Requests by their body, those that failed included."""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        def list_models() -> JsonObject:
            return {"object": "list", "data": [{"id": name} for name in self.behaviours]}

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Any:
            body = await request.json()
            text = json.dumps(body, sort_keys=True)
            before = self.asked[text]
            self.asked[text] += 1
            await asyncio.sleep(5 if body["model"] == "slow" else self.delay_s)
            return self.behaviours[body["model"]](body, before)

        return app


@contextmanager
def scripted_teacher(behaviours: dict[str, Behaviour] | None = None, delay_s: float = 0.0) -> Iterator[ScriptedTeacher]:
    teacher = ScriptedTeacher(behaviours or BEHAVIOURS, delay_s)
    server = uvicorn.Server(uvicorn.Config(teacher.app(), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the scripted teacher did not start"
    try:
        teacher.base_url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        yield teacher
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


QUICK = {"timeout_s": 1.0, "max_retries": 0, "concurrency": 4}


def play(folder: Path, url: str, model: str, requests: list[JsonObject], **settings: object) -> Played:
    given = DistillSection.model_validate(QUICK | settings)
    file = read_requests(write_rows(folder / "requests.jsonl", requests), None, given.environment)
    with open_journal(folder / "rows.answers.jsonl") as journal:
        address = EndpointAddress(url, "none", model)
        return asyncio.run(play_all(file.requests, address, journal, given, lambda: None))


def request_of(row: JsonObject) -> JsonObject:
    """The row up to its last user message."""
    last = max(index for index, message in enumerate(row["messages"]) if message["role"] == "user")
    return row | {"messages": row["messages"][: last + 1]}
