"""vLLM processes of the API that end by themselves: killed, out of memory, or unable to start. The processes are real,
their answers planted; test_api_real_vllms has real ones."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import psutil
import pytest
import uvicorn
from openai import OpenAI

import serve.chat.engines
from data.settings import load_settings
from serve.api_settings import ApiSettings
from serve.chat.engine import Engine
from serve.jobs.leftovers import MARK as JOB_MARK
from serve.server_process import ServerProcess
from serve.storage.database import Database
from serve.transport.app import create_app
from serve.transport.listening import listening_socket
from serve.vllm_process import free_port
from tests.serve.api_server import (
    BASE,
    api_server,
    ended,
    running_worker,
    upload,
    write_settings,
)
from tests.serve.memory_limit import memory_limit
from tests.serve.planted_vllm import TEXT
from tests.serve.scale_out_guide import settings

OTHER = "org/other"
MIB = 2**20


class Started(NamedTuple):
    model: str
    process: ServerProcess
    devices: str | None
    at: float


class Planted:
    """Stands in for `start_engine`: what it starts answers as planted, unless `fails` says how it ends instead."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started, self.tries = folder, list[Started](), list[float]()
        self.fails = ""

    def __call__(self, folder: Path, name: str, *_: object, devices: str | None, **__: object) -> Engine:
        self.tries.append(time.monotonic())
        port = free_port("127.0.0.1")
        # With a child, as vLLM's engine is one of its front end.
        command = ["bash", "-c", f"sleep 1000 & exec {sys.executable} -m tests.serve.planted_vllm {port}"]
        if self.fails:
            command = [sys.executable, "-c", f"raise SystemExit({self.fails!r})"]
        log = self.folder / f"{len(self.tries)}.log"
        process = ServerProcess(command, f"http://127.0.0.1:{port}", log, title=f"vLLM for {name}")
        process.__enter__()
        self.started.append(Started(name, process, devices, time.monotonic()))
        engine = Engine(f"http://127.0.0.1:{port}/v1", "key", process)
        engine.devices = devices
        return engine


class App(NamedTuple):
    root: str
    planted: Planted

    @property
    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.root}/v1", api_key="any", max_retries=0, timeout=60)

    def ask(self, text: str = "hello", model: str = BASE, **options: Any) -> Any:
        messages = [{"role": "user", "content": text}]
        return self.client.chat.completions.create(**{"model": model, "messages": messages, **options})

    def engines(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = httpx.get(f"{self.root}/health").json()["engines"]
        return told

    def kill(self, number: int = -1) -> None:
        psutil.Process(self.planted.started[number].process.pid).kill()


@pytest.fixture
def app_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    planted = Planted(tmp_path)
    monkeypatch.setattr(serve.chat.engines, "start_engine", planted)

    @contextmanager
    def running(**given: Any) -> Iterator[App]:
        recipe = str(tmp_path / "tiny.yaml")
        file = write_settings(tmp_path, bases={BASE: recipe, OTHER: recipe}, **given)
        other = tmp_path / "storage" / "bases" / "org-other" / "base"
        other.parent.mkdir(parents=True)
        other.symlink_to(tmp_path / "no-weights")
        read = load_settings(file, [], ApiSettings)
        sock = listening_socket("127.0.0.1", 0)
        app = create_app(read, Database(read.database_url))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield App(f"http://127.0.0.1:{sock.getsockname()[1]}", planted)
        finally:
            server.should_exit = True
            thread.join(60)
        assert not any(each.process.is_running for each in planted.started)

    return running


def wait(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_in_a_stream_it_says_so_and_is_started_again_unasked(app_of: Any) -> None:
    with app_of() as app:
        stream = app.ask("tokens 100000", stream=True, store=True)
        next(iter(stream))
        app.kill()
        with pytest.raises(openai.APIError) as broken:
            list(stream)
        assert (broken.value.message, broken.value.code) == ("The model server is gone", "model_unavailable")
        wait(lambda: len(app.planted.started) == 2)  # nobody asked
        assert app.ask().choices[0].message.content == TEXT
        assert app.engines() == [{"model": BASE, "replica": "0", "state": "up", "cause": None}]
        assert app.client.chat.completions.list().data == []


def test_killed_between_requests_nobody_sees_it(app_of: Any) -> None:
    with app_of() as app:
        app.ask()
        (child,) = psutil.Process(app.planted.started[0].process.pid).children()
        app.kill()
        assert app.ask().choices[0].message.content == TEXT
        assert len(app.planted.started) == 2
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_one_that_cannot_start_tells_why_and_is_not_tried_all_the_time(app_of: Any) -> None:
    with app_of() as app:
        app.planted.fails = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 16.00 GiB"
        began = time.monotonic()
        while time.monotonic() - began < 8:
            with pytest.raises(openai.InternalServerError) as refused:
                app.ask()
            assert (refused.value.status_code, refused.value.code) == (503, "model_unavailable")
            assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
            time.sleep(0.2)
        assert 2 <= len(app.planted.tries) <= 3  # at 0, 2 and 6 s
        (told,) = app.engines()
        assert told["state"] == "down"
        assert "CUDA out of memory. Tried to allocate 16.00 GiB" in told["cause"] and "log" not in told["cause"]
        app.planted.fails = ""
        wait(lambda: _answers(app))
        assert app.engines()[0]["state"] == "up"


def _answers(app: App) -> bool:
    try:
        return app.ask().choices[0].message.content == TEXT
    except openai.InternalServerError:
        return False


def test_one_that_dies_again_and_again_is_started_ever_later(app_of: Any) -> None:
    with app_of() as app:
        app.ask()
        while len(app.planted.started) < 3:
            before = len(app.planted.started)
            app.kill()
            wait(lambda: len(app.planted.started) > before)  # noqa: B023
        _, second, third = (each.at for each in app.planted.started)
        assert third - second > 4
        app.kill()
        wait(lambda: app.engines()[0]["state"] == "down")
        with pytest.raises(openai.InternalServerError) as refused:
            app.ask()
        assert int(refused.value.response.headers["retry-after"]) >= 5
        assert "killed (SIGKILL)" in app.engines()[0]["cause"]


def test_replicas_of_our_own_stand_in_for_each_other(app_of: Any) -> None:
    with app_of(**settings("replicas")) as app:
        app.ask()
        wait(lambda: [each["state"] for each in app.engines()] == ["up", "up"])
        assert sorted(str(each.devices) for each in app.planted.started) == ["0", "1"]
        for _ in range(2):
            app.kill(0)
            for number in range(6):
                assert app.ask(f"conversation {number}").choices[0].message.content == TEXT
            wait(lambda: [each["state"] for each in app.engines()] == ["up", "up"])
            app.planted.started.pop(0)
        assert sorted(str(each.devices) for each in app.planted.started) == ["0", "1"]


def test_the_least_recently_used_model_makes_room_and_never_in_the_middle_of_an_answer(app_of: Any) -> None:
    with app_of() as app:
        stream = app.ask("slow", stream=True)
        next(iter(stream))
        other: list[Any] = []
        thread = threading.Thread(target=lambda: other.append(app.ask(model=OTHER)))
        thread.start()
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == TEXT
        thread.join(60)
        assert other[0].choices[0].message.content == TEXT
        assert [(each["model"], each["state"]) for each in app.engines()] == [(BASE, "not started"), (OTHER, "up")]
        assert [each.process.is_running for each in app.planted.started] == [False, True]


def test_one_that_the_kernel_ends_for_lack_of_memory(app_of: Any) -> None:
    with app_of() as app:
        app.ask()
        with memory_limit([app.planted.started[0].process.pid], 64 * MIB):
            # Nothing of an answer had come yet, so that the one that is started in its place is asked.
            assert app.ask("eat").choices[0].message.content == TEXT
            wait(lambda: not app.planted.started[0].process.is_running)
            assert "killed (SIGKILL), as the machine ran out of memory" in app.planted.started[0].process.end_reason()
        assert app.ask().choices[0].message.content == TEXT


def test_a_training_that_the_kernel_ends_for_lack_of_memory(tmp_path: Path) -> None:
    with api_server(write_settings(tmp_path), "--no-worker") as server:
        client = server.client()
        create = client.fine_tuning.jobs.create
        job_id = create(training_file=upload(client), model=BASE, hyperparameters={"n_epochs": 3}).id
        with running_worker(server.settings, seconds=0.5, eat=20 * MIB):
            wait(lambda: bool(_pids(job_id)))
            with memory_limit(_pids(job_id), 64 * MIB):
                job = ended(client, job_id)
            later = create(training_file=upload(client), model=BASE, hyperparameters={"n_epochs": 1, "batch_size": 10})
            assert ended(client, later.id).status == "succeeded"
    assert (job.status, job.error.code) == ("failed", "server_error")
    assert job.error.message == (
        "The training was killed (SIGKILL), as the machine ran out of memory; "
        "a smaller batch_size or local.max_length takes less"
    )


def _pids(job_id: str) -> list[int]:
    return [process.pid for process in psutil.process_iter() if environment(process).get(JOB_MARK) == job_id]


def environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return {}
