"""eval.latency against a server whose delays are known."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from data.row import JsonObject
from eval.cost import Prices, break_even_curve, cost
from eval.endpoint import Endpoint
from eval.load import closed_loop, open_loop
from tests.eval.rows import CREATE, write_rows
from tests.eval.test_programs import program

FIRST_S, REST_S = 0.15, 0.25
USAGE = {"prompt_tokens": 400, "completion_tokens": 30}


@contextmanager
def delayed_server() -> Iterator[str]:
    """`delayed`: first token and whole answer after known times; `serial` answers one at a time; `broken` stops."""
    app = FastAPI()
    one_at_a_time = asyncio.Lock()

    @app.get("/v1/models")
    def models() -> JsonObject:
        return {"data": [{"id": name} for name in ("delayed", "serial", "broken")]}

    async def stream(model: str) -> AsyncIterator[str]:
        yield _event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        if model == "serial":
            async with one_at_a_time:
                await asyncio.sleep(0.1)
        else:
            await asyncio.sleep(FIRST_S)
        call = {"index": 0, "function": {"name": "create_task", "arguments": "{}"}}
        yield _event({"choices": [{"delta": {"tool_calls": [call]}}]})
        if model == "broken":
            yield _event({"error": {"message": "out of memory"}})
        await asyncio.sleep(REST_S if model == "delayed" else 0)
        yield _event({"choices": [], "usage": USAGE})
        yield "data: [DONE]\n\n"

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        body = await request.json()
        assert body["stream"] and body["stream_options"] == {"include_usage": True}
        return StreamingResponse(stream(body["model"]), media_type="text/event-stream")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=5)


def _event(chunk: JsonObject) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def body(model: str) -> bytes:
    return json.dumps({"model": model, "stream": True, "stream_options": {"include_usage": True}}).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with delayed_server() as url:
        yield url


def test_the_program_finds_the_planted_delays_and_the_cost(tmp_path: Path, url: str) -> None:
    measured = program(
        "eval.latency", write_rows(tmp_path / "rows.jsonl", CREATE), "--base-url", url, "--model", "delayed",
        "--concurrency", "1", "4", "--rate", "8", "--requests", "8", "--out", tmp_path / "latency.json",
        "--gpu-price", "3.6", "--api-price", "2.5", "10",
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    found = json.loads((tmp_path / "latency.json").read_text())
    assert [(load["concurrency"], load["rate"], load["num_failed"]) for load in found["loads"]] == [
        (1, None, 0), (4, None, 0), (None, 8.0, 0)
    ]  # fmt: skip
    for load in found["loads"]:
        assert 1000 * FIRST_S <= load["first_token_ms"]["p50"] < 1000 * (FIRST_S + 0.1)
        assert 1000 * (FIRST_S + REST_S) <= load["whole_ms"]["p50"] < 1000 * (FIRST_S + REST_S + 0.2)
        assert (load["prompt_tokens"], load["completion_tokens"]) == (400, 30)
    one, four, _ = (load["calls_per_s"] for load in found["loads"])
    assert 1.5 < one <= 2.5 and 2.5 < four / one <= 4.2
    assert found["cost"]["api_per_1000"] == pytest.approx(1.3)
    assert found["cost"]["break_even_calls_per_s"] == pytest.approx(0.001 / 0.0013)
    assert "break-even at 0.77 calls/s" in measured.stdout


def test_an_overloaded_server_shows_in_the_open_loop(url: str) -> None:
    # Ten a second are served; forty come: the last of twenty was due at 0.5 s and is done at 2 s.
    loaded = open_loop(Endpoint(base_url=url, model="serial"), "none", [body("serial")] * 20, 40, 10, seed=0)
    assert loaded.whole_ms.p99 is not None and loaded.whole_ms.p99 > 1000
    assert loaded.whole_ms.p50 is not None and loaded.whole_ms.p50 > 4 * 100


def test_a_stream_that_breaks_is_a_failure_with_a_reason(url: str) -> None:
    broken = closed_loop(Endpoint(base_url=url, model="broken"), "none", [body("broken")] * 3, 2, 10)
    assert (broken.num_failed, broken.whole_ms.p50, broken.calls_per_s) == (3, None, 0)
    assert "out of memory" in broken.why


def test_one_price_alone_and_a_dead_endpoint_are_users_faults(tmp_path: Path, url: str) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", CREATE)
    half = ("--requests", "1", "--concurrency", "1", "--gpu-price", "2", "--out", tmp_path / "latency.json")
    refused = program("eval.latency", rows, "--base-url", url, "--model", "delayed", *half)
    assert refused.returncode == 2 and "give --gpu-price and --api-price" in refused.stderr
    dead = program("eval.latency", rows, "--base-url", "http://127.0.0.1:1/v1", "--model", "m")
    assert dead.returncode == 2 and "cannot be reached" in dead.stderr


def test_a_machine_that_is_too_slow_never_breaks_even() -> None:
    prices = Prices(gpu_per_hour=3.6, api_per_million_in=0.1, api_per_million_out=0.5)
    found = cost(prices, prompt_tokens=400, completion_tokens=30, capacity_calls_per_s=10)
    assert (found.is_ever_cheaper, found.break_even_calls_per_s) == (False, pytest.approx(18.18, abs=0.01))
    assert break_even_curve(prices, found).break_even_x is None
    fast = cost(prices, 400, 30, capacity_calls_per_s=40)
    curve = break_even_curve(prices, fast)
    assert fast.is_ever_cheaper and curve.break_even_x is not None and curve.most_calls_per_s == 40
