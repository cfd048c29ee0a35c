"""What is retried, for how long, and what is not: each against a real server."""

import asyncio
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from fastapi import Response

from data.row import JsonObject
from eval.fixed_delay import fixed_delay_server, time_bare_client
from eval.item import Item
from eval.reply import NotRun
from eval.settings import EvalSection
from eval.suite import Suite
from eval.transport import Body, connect
from tests.eval.planted_server import planted_server, right
from tests.eval.rows import CREATE, suite_of, write_rows
from tests.eval.test_client import run
from tests.eval.test_programs import program


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path, CREATE)


class Refusing:
    """Refuses the first so many requests, then answers; notes when it was asked."""

    def __init__(self, status: int, times: int, headers: dict[str, str] | None = None) -> None:
        self._status, self._left, self._headers = status, times, headers or {}
        self.asked_at: list[float] = []

    def __call__(self, item: Item) -> JsonObject | Response:
        self.asked_at.append(time.monotonic())
        if self._left:
            self._left -= 1
            return Response('{"error": {"message": "not now"}}', status_code=self._status, headers=self._headers)
        return right(item)


def verdicts(suite: Suite, model: Refusing, max_retries: int) -> list[str]:
    settings = EvalSection(max_retries=max_retries, concurrency=1, timeout_s=5)
    first = suite.model_copy(update={"items": suite.items[:1]})
    with planted_server(suite.items, {"refusing": model}) as url:
        return [result.score.verdict for result in run(first, url, "refusing", settings)]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_refusal_that_may_pass_is_asked_again(suite: Suite, status: int) -> None:
    model = Refusing(status, times=1)
    assert verdicts(suite, model, max_retries=1) == ["right"]
    assert 0.3 < model.asked_at[1] - model.asked_at[0] < 2


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_for_good_is_not(suite: Suite, status: int) -> None:
    model = Refusing(status, times=9)
    assert verdicts(suite, model, max_retries=3) == ["not_run"]
    assert len(model.asked_at) == 1


def test_a_refusal_that_stays_is_not_run_after_the_last_retry(suite: Suite) -> None:
    model = Refusing(429, times=9, headers={"Retry-After": "0.05"})
    assert verdicts(suite, model, max_retries=2) == ["not_run"]
    assert len(model.asked_at) == 3


def test_the_server_says_how_long_to_wait_unless_it_says_nonsense(suite: Suite) -> None:
    for retry_after, least_s, most_s in (("1.2", 1.2, 2.0), ("soon", 0.3, 1.1), ("-3", 0.3, 1.1), ("1e9", 0.3, 1.1)):
        model = Refusing(429, times=1, headers={"Retry-After": retry_after})
        assert verdicts(suite, model, max_retries=1) == ["right"]
        assert least_s <= model.asked_at[1] - model.asked_at[0] < most_s, retry_after


def test_a_connection_that_breaks_within_the_answer_is_not_run() -> None:
    def answer_half(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{half")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_half, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        async def ask() -> Body | NotRun:
            async with connect(url, "none", 5, 0) as connection:
                return await connection.ask(b"{}")

        answer = asyncio.run(ask())
    assert isinstance(answer, NotRun) and answer.reason.startswith("Connection error: ")


def test_the_environments_proxy_is_used_unless_the_host_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(url: str) -> Body | NotRun:
        async with connect(url, "none", 5, 0) as connection:
            return await connection.ask(b"{}")

    with fixed_delay_server(0.001) as proxy:
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert isinstance(asyncio.run(ask("http://model.invalid/v1")), Body)
        assert isinstance(asyncio.run(ask("http://127.0.0.1:1/v1")), NotRun)


def test_the_fixed_delay_is_the_delay() -> None:
    with fixed_delay_server(0.05) as url:
        seconds = asyncio.run(time_bare_client(url, b"{}", num_requests=20, concurrency=4))

        async def ask() -> Body | NotRun:
            async with connect(url, "none", 5, 0) as connection:
                return await connection.ask(b"{}")

        answer = asyncio.run(ask())
    assert 0.25 <= seconds < 0.75
    assert isinstance(answer, Body) and 0.05 <= answer.latency_s < 0.2 and b"create_task" in answer.content


def test_the_cost_of_asking_is_told_with_the_memory_of_each_round(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", CREATE)
    options = ("--items", "60", "--delay-ms", "5", "--rounds", "2", "--concurrency")
    told = program("eval.overhead", rows, *options, "6")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["ideal_s"] == 0.05 and len(found["memory_mib"]) == 3
    assert all(ratio > 1 for ratio in found["scored_to_ideal"]) and found["bare_client_s"] >= 0.05
    refused = program("eval.overhead", rows, *options, "2000")
    assert refused.returncode == 2 and "at most 900" in refused.stderr
