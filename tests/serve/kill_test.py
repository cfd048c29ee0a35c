"""Random kills of the API, its worker and vLLM under load: is what was accepted still there, once, and ended?

    python -m tests.serve.kill_test --kills 100 --database sqlite|postgresql [--real-vllm] [--seed 1]

SIGKILL, at random moments, of one of the three; what was killed is started again at once. Clients upload, create jobs
(stand-in trainings) and store completions all the while. vLLM is a server of planted answers, which starts in a second;
with --real-vllm it is vLLM on a tiny random model, which the API starts itself. Prints the figures as JSON; exit 1
where anything was lost, doubled or stuck.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from openai import OpenAI

from serve.chat.engine import MARK, end_orphans
from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.models import smollm2_folder
from tests.serve.api_server import BASE, ApiServer, ended, rows_file, start_server, write_settings
from tests.serve.kill_load import Load
from tests.serve.postgres_server import PostgresServer

END_S = 3600
"""Generous: it may run at idle priority, and be stopped for a while."""
TARGETS = ("api", "worker", "vllm")
MORE = 6
"""Answers between two kills, at least."""


class Victims:
    """The three, and how each is killed and started again."""

    def __init__(self, settings_file: Path, vllm_port: int | None) -> None:
        self.settings_file, self.vllm_port = settings_file, vllm_port
        self.vllm: subprocess.Popen[bytes] | None = None
        self.start_vllm()
        self.server: ApiServer = start_server(settings_file, "--no-worker", within_s=END_S)
        self.start_worker()

    def kill(self, name: str) -> bool:
        """False where there was nothing to kill."""
        if name == "api":
            end(self.server.process)
            self.server = start_server(self.settings_file, "--no-worker", within_s=END_S)
        elif name == "worker":
            end(self.worker)
            self.start_worker()
        elif self.vllm:
            end(self.vllm)
            self.start_vllm()
        else:
            return kill_started_by(self.server.process.pid)
        return True

    def start_vllm(self) -> None:
        if self.vllm_port:
            self.vllm = subprocess.Popen(
                [sys.executable, "-m", "tests.serve.planted_vllm", str(self.vllm_port)], cwd=ROOT
            )
            require_answer(f"http://127.0.0.1:{self.vllm_port}/health")

    def start_worker(self) -> None:
        command = [sys.executable, "-m", "tests.serve.fake_worker", str(self.settings_file)]
        with (self.settings_file.parent / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def close(self) -> None:
        for process in (self.server.process, self.worker, self.vllm):
            if process:
                end(process)
        end_orphans()  # with its engine, a process that hides whose it is


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--real-vllm", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calltune-kill-") as folder, database(args.database) as url:
        found = run(Path(folder), url, args.kills, args.seed, real_vllm=args.real_vllm)
    print(json.dumps({"database": args.database, "real_vllm": args.real_vllm, "seed": args.seed, **found}, indent=2))
    return 1 if found["faults"] else 0


def run(folder: Path, url: str, kills: int, seed: int, *, real_vllm: bool = False) -> dict[str, Any]:
    dice = random.Random(seed)
    vllm_port = None if real_vllm else free_port("127.0.0.1")
    settings = kill_settings(folder, url, vllm_port)
    began = time.monotonic()
    victims = Victims(settings, vllm_port)
    killed: Counter[str] = Counter()
    try:
        load = Load(victims.server.base_url, 600)
        load.start()
        while load.kills < kills:
            load.wait_for(MORE)  # a server that is killed before it answers anything shows nothing
            time.sleep(dice.uniform(0, 1))
            name = dice.choice(TARGETS)
            if victims.kill(name):
                killed[name] += 1
                load.kills += 1
        load.stop()
        client = load.client(4)
        faults = [f"unexpected answer: {text}" for text in load.unexpected] + require_ended(client, load)
        faults += require_kept(client, load) + leftovers(folder)
        return {
            "kills": dict(killed), "accepted": {name: len(ids) for name, ids in load.accepted._asdict().items()},
            "broken_requests": dict(load.broken), "seconds": round(time.monotonic() - began), "faults": faults,
        }  # fmt: skip
    finally:
        victims.close()


def kill_settings(folder: Path, url: str, vllm_port: int | None) -> Path:
    model = None if vllm_port else smollm2_folder(folder / "model" / "merged", with_weights=True)
    engines = {"engines": {BASE: f"http://127.0.0.1:{vllm_port}/v1"}} if vllm_port else {}
    path = write_settings(
        folder, model, port=free_port("127.0.0.1"), database=url, max_attempts=1000, lease_s=10, **engines
    )  # fmt: skip
    (folder / "tiny.yaml").open("a").write("serve: {enforce_eager: true, max_model_len: 512}\n")
    (folder / "storage" / "runs").mkdir(parents=True)
    (folder / "storage" / "runs" / "fake.json").write_text(json.dumps({"seconds": 0.1}))
    return path


def require_ended(client: OpenAI, load: Load) -> list[str]:
    """Every job that was accepted has succeeded, told each step once, and has its results and its models."""
    faults = []
    models = [model.id for model in client.models.list()]
    for job_id in load.accepted.jobs:
        job = ended(client, job_id, END_S)
        told = [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=100)]
        steps = [message.split(":")[0] for message in reversed(told) if message.startswith("Step ")]
        models = models if job.fine_tuned_model in models else [model.id for model in client.models.list()]
        as_it_must_be = (
            job.status == "succeeded"
            and len(told) == len(set(told))
            and steps == [f"Step {step}/6" for step in range(1, 7)]
            and models.count(job.fine_tuned_model) == 1
            and len(job.result_files) == 1
            and client.files.content(job.result_files[0]).read()
        )
        if not as_it_must_be:
            faults.append(f"job {job_id}: {job.status} {job.error.message if job.error else ''} {told}")
    return faults


def require_kept(client: OpenAI, load: Load) -> list[str]:
    accepted, faults = load.accepted, []
    stored = [completion.id for completion in client.chat.completions.list(limit=100)]
    numbers = [job.metadata["n"] for job in client.fine_tuning.jobs.list(limit=100) if job.metadata]
    jobs = [job.id for job in client.fine_tuning.jobs.list(limit=100)]
    files = [file.id for file in client.files.list(purpose="fine-tune")]
    for name, kept in (("completions", stored), ("jobs", jobs), ("files", files)):
        given = getattr(accepted, name)
        lost = set(given) - set(kept)
        faults += [f"{len(lost)} {name} lost: {sorted(lost)[:5]}"] if lost else []
        faults += [f"{name} doubled"] if len(set(kept)) != len(kept) or len(set(given)) != len(given) else []
        faults += [] if given else [f"no {name} were accepted: nothing was tested"]
    faults += [f"a job was made twice: {n}" for n, count in Counter(numbers).items() if count > 1]
    content = rows_file(10)[1]
    return faults + [
        f"file {each} is not whole" for each in accepted.files if client.files.content(each).read() != content
    ]


def leftovers(folder: Path) -> list[str]:
    """Trainings of killed workers that still run."""
    ours = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or [])
    ]
    running = [process for process in ours if any("fake_recipe_run" in part for part in process.info["cmdline"])]
    return [f"a training still runs: {process.pid}" for process in running]


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Its URL; empty for SQLite in the storage folder."""
    if kind == "sqlite":
        yield ""
        return
    folder = Path("/tmp") / f"calltune-kill-postgres-{os.getpid()}"
    try:
        server = PostgresServer(folder)
        yield server.new_database("kills")
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def kill_started_by(api: int) -> bool:
    """The vLLM that this API started, with its children."""
    killed = False
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(api):
                process.kill()
                killed = True
    return killed


def require_answer(url: str) -> None:
    deadline = time.monotonic() + END_S
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
