"""Replicas of one model before servers of planted answers: who is asked, who is left out, who comes back."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import pytest

from data.settings import load_settings
from data.user_error import UserError
from serve.api_settings import ApiSettings
from serve.chat.routing import by_preference, choose, prefix_of
from serve.storage.database import Database
from serve.storage.tables import Model
from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import BASE, ApiServer, api_server, write_settings
from tests.serve.planted_vllm import TEXT
from tests.serve.postgres_server import PostgresServer
from tests.serve.scale_out_guide import command, settings


class Planted:
    """A server of planted answers on a port that it keeps."""

    def __init__(self) -> None:
        self.port = free_port("127.0.0.1")
        self.root = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "tests.serve.planted_vllm", str(self.port)], cwd=ROOT)
        wait(lambda: httpx.get(f"{self.root}/health").status_code == 200)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def num_asked(self) -> int:
        return int(httpx.get(f"{self.root}/count").json())


class Pair(NamedTuple):
    api: ApiServer
    planted: list[Planted]

    def states(self) -> list[str]:
        told = httpx.get(f"{self.api.base_url.removesuffix('/v1')}/health").json()["engines"]
        return [engine["state"] for engine in told]

    def ask(self, text: str, **options: Any) -> Any:
        return self.api.client().chat.completions.create(
            **{"model": BASE, "messages": [{"role": "user", "content": text}], **options}
        )

    def who_answers(self, text: str, **options: Any) -> int:
        before = [each.num_asked for each in self.planted]
        self.ask(text, **options)
        asked = [each.num_asked - count for each, count in zip(self.planted, before, strict=True)]
        assert sum(asked) == 1
        return asked.index(1)

    def text_for(self, number: int) -> str:
        """What this replica is asked first."""
        return next(text for n in range(100) if self.who_answers(text := f"conversation {n}") == number)


def wait(is_so: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if is_so():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    planted = [Planted(), Planted()]
    hosts = {f"http://gpu{number}:8000": each.root for number, each in enumerate(planted, start=1)}
    given = settings("engines", **hosts, **{"HuggingFaceTB/SmolLM2-135M-Instruct": BASE})
    with api_server(write_settings(tmp_path_factory.mktemp("two"), **given), "--no-worker") as server:
        yield Pair(server, planted)
    for each in planted:
        each.kill()


@pytest.fixture
def pair(two: Pair) -> Pair:
    for each in two.planted:
        if each.process.poll() is not None:
            each.start()
    wait(lambda: two.states() == ["up", "up"])
    return two


class Place(NamedTuple):
    name: str
    num_open: int = 0


def body(system: str, first: str, *more: str) -> dict[str, Any]:
    roles = ["system", "user", *(("assistant", "user")[n % 2] for n in range(len(more)))]
    return {"messages": [{"role": r, "content": c} for r, c in zip(roles, (system, first, *more), strict=True)]}


def test_all_turns_of_a_conversation_have_one_prefix() -> None:
    tools = [{"type": "function", "function": {"name": "a"}}]
    short, longer = body("s", "hi"), body("s", "hi", "hello", "and?")
    assert prefix_of("m", short) == prefix_of("m", longer | {"temperature": 1})
    others = [prefix_of("n", short), prefix_of("m", body("t", "hi")), prefix_of("m", body("s", "ho"))]
    others.append(prefix_of("m", short | {"tools": tools}))
    assert len({prefix_of("m", short), *others}) == 5
    prefix_of("m", {"messages": [1, None, "\ud800"], "tools": "?"})  # whatever clients send


def test_a_replica_that_goes_moves_only_its_own_prefixes() -> None:
    places = [Place(str(number)) for number in range(4)]
    keys = [prefix_of("m", body("s", str(number))) for number in range(2000)]
    before = [by_preference(places, key)[0] for key in keys]
    after = [by_preference(places[:3], key)[0] for key in keys]
    assert all(old == new for old, new in zip(before, after, strict=True) if old != places[3])
    assert all(400 < count < 600 for count in Counter(before).values())


def test_no_replica_takes_more_than_its_share_and_a_quarter() -> None:
    key = prefix_of("m", body("s", "everybody asks the same"))
    load = {"0": 0, "1": 0, "2": 0}
    for _ in range(90):
        load[choose([Place(name, count) for name, count in load.items()], key).name] += 1
    first, second, third = (load[place.name] for place in by_preference([Place(name) for name in load], key))
    assert (first, second) == (38, 38) and third == 14  # 1.25 * 90 / 3 = 37.5


def test_a_conversation_stays_on_one_replica_and_others_spread(pair: Pair) -> None:
    turns = [{"role": "user", "content": "plan my trip"}]
    asked = []
    for n in range(4):
        asked.append(pair.who_answers("", messages=turns))
        turns = [*turns, {"role": "assistant", "content": "ok"}, {"role": "user", "content": f"more {n}"}]
    assert len(set(asked)) == 1
    assert {pair.who_answers(f"conversation {n}") for n in range(20)} == {0, 1}


def test_a_replica_that_is_killed_is_left_out_and_comes_back(pair: Pair) -> None:
    mine = pair.text_for(1)
    pair.planted[1].kill()
    for _ in range(5):
        assert pair.ask(mine).choices[0].message.content == TEXT  # no client sees it
    assert pair.states() == ["up", "down"]
    cause = httpx.get(f"{pair.api.base_url.removesuffix('/v1')}/health").json()["engines"][1]["cause"]
    assert "Cannot connect" in cause
    curl = command("curl -s", **{"http://127.0.0.1:8080": pair.api.base_url.removesuffix("/v1")})
    told = subprocess.run(curl.split(), capture_output=True, check=True).stdout
    assert [each["state"] for each in json.loads(told)["engines"]] == ["up", "down"]
    assert "calltune_engine_up" in (text := httpx.get(f"{pair.api.base_url.removesuffix('/v1')}/metrics").text)
    assert sum(line.startswith("calltune_engine_up{") and line.endswith(" 0.0") for line in text.splitlines()) == 1
    pair.planted[1].start()
    wait(lambda: pair.states() == ["up", "up"])
    assert pair.who_answers(mine) == 1


def test_a_replica_that_hangs_is_left_out(pair: Pair) -> None:
    mine = pair.text_for(0)
    pair.planted[0].process.send_signal(signal.SIGSTOP)
    try:
        wait(lambda: pair.states() == ["down", "up"])
        assert pair.ask(mine, timeout=5).choices[0].message.content == TEXT
    finally:
        pair.planted[0].process.send_signal(signal.SIGCONT)
    wait(lambda: pair.states() == ["up", "up"])


def test_an_answer_of_the_server_that_is_an_error_is_asked_of_the_other(pair: Pair) -> None:
    before = [each.num_asked for each in pair.planted]
    with pytest.raises(openai.InternalServerError) as fault:
        pair.ask("fault")
    assert (fault.value.status_code, fault.value.code) == (500, "model_unavailable")
    assert [each.num_asked - count for each, count in zip(pair.planted, before, strict=True)] == [1, 1]
    with pytest.raises(openai.BadRequestError):
        pair.ask("fail")  # the client's fault: nobody else is asked
    assert sum(each.num_asked for each in pair.planted) == sum(before) + 3


@pytest.mark.parametrize("wish", ["break", "half", "cut"])
@pytest.mark.parametrize("store", [True, False])
def test_a_stream_that_breaks_is_not_begun_again_and_says_so(pair: Pair, wish: str, store: bool) -> None:
    before = sum(each.num_asked for each in pair.planted)
    given: list[str] = []
    with pytest.raises(openai.APIError) as broken:
        stream = pair.ask(wish, stream=True, store=store, metadata={"wish": wish})
        given.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(given) == TEXT[:2]
    assert (broken.value.message, broken.value.code) == ("The model server is gone", "model_unavailable")
    assert sum(each.num_asked for each in pair.planted) == before + 1
    assert pair.api.client().chat.completions.list(metadata={"wish": wish}).data == []


def test_an_error_that_vllm_tells_in_a_stream_is_put_into_openais_words(pair: Pair) -> None:
    request = {"model": BASE, "messages": [{"role": "user", "content": "told"}], "stream": True, "store": True}
    text = httpx.post(f"{pair.api.base_url}/chat/completions", json=request).text
    *_, told, done, end = text.split("\n\n")
    message = "EngineCore encountered an issue."
    error = {"message": message, "type": "server_error", "param": None, "code": "model_unavailable"}
    assert (json.loads(told.removeprefix("data: ")), done, end) == ({"error": error}, "data: [DONE]", "")


def test_when_all_are_gone_the_client_is_told_and_the_first_one_back_answers(pair: Pair) -> None:
    for each in pair.planted:
        each.kill()
    for _ in range(3):
        with pytest.raises(openai.InternalServerError) as gone:
            pair.ask("hello")
        assert (gone.value.status_code, gone.value.code) == (503, "model_unavailable")
        assert int(gone.value.response.headers["retry-after"]) >= 1
    pair.planted[0].start()
    assert pair.ask("hello").choices[0].message.content == TEXT


def test_one_hot_prefix_overflows_to_the_other_replica(pair: Pair) -> None:
    before = [each.num_asked for each in pair.planted]
    threads = [threading.Thread(target=lambda: list(pair.ask("tokens 500", stream=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = [each.num_asked - count for each, count in zip(pair.planted, before, strict=True)]
    assert sum(asked) == 8 and min(asked) >= 3  # at most 1.25 times half of what is open


def test_adapters_are_loaded_on_every_replica_also_on_one_started_anew(pair: Pair) -> None:
    name = "ft:org/tiny:local::abcdefgh"
    base = str(pair.api.settings.storage.absolute() / "bases" / "org-tiny" / "base")
    with Database(pair.api.settings.database_url).write() as session:
        session.add(
            Model(id=name, project="default", created_at=1, base_model=BASE, job_id="j", base=base, adapter="/a")
        )
    assert {pair.who_answers(f"adapter {n}", model=name) for n in range(20)} == {0, 1}
    for each in pair.planted:  # anew, and nobody noticed: no request came meanwhile
        each.kill()
        each.start()
    for n in range(4):
        assert pair.ask(f"adapter {n}", model=name).model == name


@pytest.mark.slow
def test_several_apis_on_one_postgresql_share_replicas(tmp_path: Path, postgres: PostgresServer, pair: Pair) -> None:
    """They share nothing but the database, and still send a conversation to the same replica."""
    urls = [f"{each.root}/v1" for each in pair.planted]
    file = write_settings(tmp_path, engines={BASE: urls}, database=postgres.new_database("shared"))
    with api_server(file, "--no-worker") as one, api_server(file, "--no-worker") as two:
        pairs = [Pair(server, pair.planted) for server in (one, two)]
        for n in range(8):
            assert len({each.who_answers(f"shared {n}", store=True) for each in pairs}) == 1
        assert [len(server.client().chat.completions.list().data) for server in (one, two)] == [16, 16]


def test_replicas_need_room(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(json.dumps({"replicas": 2}))
    with pytest.raises(UserError, match="max_engines of at least 2"):
        load_settings(path, [], ApiSettings)
