"""A running `serve.api` for the tests: a process of its own on a free port, with a storage folder of its own."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from openai import OpenAI

from data.settings import load_settings
from serve.api_settings import ApiSettings
from serve.jobs.worker_loop import WorkerLoop
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from tests.conftest import ROOT

FAKE_RUN = (sys.executable, str(ROOT / "tests" / "serve" / "fake_recipe_run.py"))
BASE = "org/tiny"
START_S = 300


class ApiServer(NamedTuple):
    base_url: str
    settings_file: Path
    process: subprocess.Popen[bytes]

    @property
    def settings(self) -> ApiSettings:
        return load_settings(self.settings_file, [], ApiSettings)

    @property
    def log(self) -> str:
        return self.settings_file.with_suffix(".log").read_text()

    def client(self, key: str = "any", **options: Any) -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key=key, **{"max_retries": 0, "timeout": 200, **options})


def write_settings(folder: Path, model: Path | None = None, **settings: Any) -> Path:
    """Settings with one base, whose recipe trains the model in `model`; without one, its folder holds no weights.

    The first token may differ at some positions: tiny random weights put many tokens as close as a merge rounds.
    """
    if model is None:
        model = folder / "no-weights"
        model.mkdir()
        (model / "calltune.json").write_text("{}")
    recipe = folder / "tiny.yaml"
    recipe.write_text(
        f"name: tiny\nmodel: {{path: {model}}}\ntemplate: chatml\ndata: {{}}\n"
        "lora: {r: 8}\nsft: {max_length: 1024}\nmerge: {check_rows: 2, min_agreement: 0.9}\n"
    )
    given = {"storage": str(folder / "storage"), "port": 0, "bases": {BASE: str(recipe)}}
    base = folder / "storage" / "bases" / "org-tiny" / "base"
    base.parent.mkdir(parents=True, exist_ok=True)
    base.symlink_to(model)  # spares each test the seconds in which the folder would be made
    path = folder / "api.yaml"
    path.write_text(yaml.safe_dump(given | {"aliases": {"gpt-4o-mini*": BASE}} | settings))
    return path


@contextmanager
def api_server(settings_file: Path, *options: str) -> Iterator[ApiServer]:
    """Ends with SIGTERM, which must be a clean end."""
    server = start_server(settings_file, *options)
    try:
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0, server.log
    finally:
        server.process.kill()
        server.process.wait()


def start_server(settings_file: Path, *options: str, within_s: float = START_S) -> ApiServer:
    log = settings_file.with_suffix(".log")
    began = log.stat().st_size if log.is_file() else 0
    command = [sys.executable, "-m", "serve.api", str(settings_file), *options]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    deadline = time.monotonic() + within_s
    while not (found := re.search(r"base_url (\S+)", log.read_text()[began:])):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return ApiServer(found[1], settings_file, process)


@contextmanager
def running_worker(settings: ApiSettings, program: tuple[str, ...] = FAKE_RUN, **plan: Any) -> Iterator[WorkerLoop]:
    """A worker in a thread, whose trainings are `fake_recipe_run` with this plan unless another program is given."""
    settings.runs.mkdir(parents=True, exist_ok=True)
    (settings.runs / "fake.json").write_text(json.dumps(plan))
    loop = WorkerLoop(settings, Database(settings.database_url), FileStore(settings.files_url), "", program)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.stopping.set()
        thread.join(60)
        assert not thread.is_alive()


def row(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"Weather in city {number}?"},
            {
                "role": "assistant", "content": None,
                "tool_calls": [
                    {
                        "id": "call_1", "type": "function",
                        "function": {"name": "get_weather", "arguments": json.dumps({"city": f"city {number}"})},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": f"{number} C"},
            {"role": "assistant", "content": f"It is {number} C."},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                },
            }
        ],
    }  # fmt: skip


def rows_file(count: int, name: str = "rows.jsonl") -> tuple[str, bytes]:
    """As `files.create(file=...)` takes it."""
    return name, "".join(json.dumps(row(number)) + "\n" for number in range(count)).encode()


def upload(client: OpenAI, count: int = 10) -> str:
    return client.files.create(file=rows_file(count), purpose="fine-tune").id


def ended(client: OpenAI, job_id: str, timeout_s: float = 60) -> Any:
    """The job once it is in a final state."""
    deadline = time.monotonic() + timeout_s
    while (job := client.fine_tuning.jobs.retrieve(job_id)).status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def until(client: OpenAI, job_id: str, status: str, timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while (job := client.fine_tuning.jobs.retrieve(job_id)).status != status:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job
