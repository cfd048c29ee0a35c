"""The same jobs on SQLite and PostgreSQL; several API processes and workers on one database; kills at any moment."""

import random
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest
from openai import OpenAI

from serve.jobs.leases import claim
from serve.jobs.worker_loop import WorkerLoop
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from tests.serve.api_server import (
    BASE,
    FAKE_RUN,
    ApiServer,
    api_server,
    ended,
    rows_file,
    running_worker,
    start_server,
    upload,
    write_settings,
)  # fmt: skip
from tests.serve.postgres_server import PostgresServer

KILLS = 8
SHORT: dict[str, Any] = {"hyperparameters": {"n_epochs": 3, "batch_size": 5}}
"""Six steps, three checkpoints."""


class Accepted(NamedTuple):
    """What the server said yes to."""

    jobs: list[str]
    files: list[str]
    completions: list[str]


@pytest.fixture(params=["sqlite", "postgresql"])
def settings_file(request: pytest.FixtureRequest, planted: str, tmp_path: Path) -> Path:
    """Settings of an API on a fresh database of each kind."""
    engines = {BASE: f"{planted}/v1"}
    if request.param == "sqlite":
        return write_settings(tmp_path, engines=engines)
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.new_database(f"db_{random.randrange(10**9)}")
    return write_settings(tmp_path, engines=engines, database=url)


def test_two_apis_and_two_workers_share_one_database(settings_file: Path) -> None:
    with api_server(settings_file, "--no-worker") as first, api_server(settings_file, "--no-worker") as second:
        one, two = first.client(), second.client()
        made = [
            client.fine_tuning.jobs.create(training_file=upload(one), model=BASE, **SHORT).id
            for client in (one, two) * 3
        ]
        settings = first.settings
        settings.runs.mkdir(parents=True)
        database, files = Database(settings.database_url), FileStore(settings.files_url)
        workers = [WorkerLoop(settings, database, files, device, FAKE_RUN) for device in ("0", "1")]
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        ends = [ended(two, job_id, 120) for job_id in made]
        for worker in workers:
            worker.stopping.set()
        for thread in threads:
            thread.join(60)
        assert [job.status for job in ends] == ["succeeded"] * 6
        assert [job.id for job in one.fine_tuning.jobs.list(limit=2)] == made[::-1]
        for job_id in made:
            told = [event.message for event in one.fine_tuning.jobs.list_events(job_id)]
            assert told.count("The job has successfully completed") == 1 and len(told) == len(set(told))
        assert len([model for model in one.models.list() if model.id.startswith("ft:")]) == 6 * 3


def test_a_job_is_claimed_by_one_worker_alone(settings_file: Path) -> None:
    with api_server(settings_file, "--no-worker") as server:
        client = server.client()
        file_id = upload(client)
        made = {client.fine_tuning.jobs.create(training_file=file_id, model=BASE).id for _ in range(20)}
        database = Database(server.settings.database_url)
        taken: list[str] = []

        def take(name: str) -> None:
            while (job := claim(database, name, ("validating_files",), 60)) is not None:
                taken.append(job.id)

        threads = [threading.Thread(target=take, args=(f"worker {n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        # A look that finds only rows that others are just taking ends a thread early; nothing is taken twice.
        while (job := claim(database, "last", ("validating_files",), 60)) is not None:
            taken.append(job.id)
        assert sorted(taken) == sorted(made)


@pytest.mark.slow
def test_kills_of_the_api_and_the_worker_lose_and_double_nothing(settings_file: Path) -> None:
    random.seed(1)
    server = start_server(settings_file, "--no-worker")
    accepted = Accepted([], [], [])
    try:
        for _ in range(KILLS):
            load(server, accepted, threading.Timer(random.uniform(0.0, 0.4), server.process.kill))
            server.process.wait()
            server = start_server(settings_file, "--no-worker")
        for _ in range(6):
            with running_worker(server.settings, seconds=0.2):
                time.sleep(random.uniform(0.1, 1.5))
        client = server.client()
        with running_worker(server.settings):
            ends = [ended(client, job_id, 300) for job_id in accepted.jobs]
        assert [job.status for job in ends] == ["succeeded"] * len(accepted.jobs)
        require_kept(client, accepted)
    finally:
        server.process.kill()


def require_kept(client: OpenAI, accepted: Accepted) -> None:
    """Each once; one more of each kind, for each kill, may have been written down before its answer was lost."""
    stored = [completion.id for completion in client.chat.completions.list(limit=100)]
    files = [file.id for file in client.files.list(purpose="fine-tune")]
    jobs = [job.id for job in client.fine_tuning.jobs.list(limit=100)]
    for kept, given in ((stored, accepted.completions), (files, accepted.files), (jobs, accepted.jobs)):
        assert given and set(given) <= set(kept) and len(set(kept)) == len(kept) <= len(given) + KILLS
    for file_id in accepted.files:
        assert client.files.content(file_id).read() == rows_file(10)[1]
    for job_id in accepted.jobs:
        told = [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=100)]
        assert len(told) == len(set(told))
        (results,) = client.fine_tuning.jobs.retrieve(job_id).result_files
        assert client.files.content(results).read()


def load(server: ApiServer, accepted: Accepted, kill: threading.Timer) -> None:
    """Uploads, up to three jobs and stored completions, until the server is killed, some time after the first."""
    client: OpenAI = server.client(timeout=10)
    enough = len(accepted.jobs) + 3
    try:
        while True:
            accepted.files.append(upload(client))
            if len(accepted.jobs) < enough:
                job = client.fine_tuning.jobs.create(training_file=accepted.files[-1], model=BASE, **SHORT)
                accepted.jobs.append(job.id)
            ask: Any = {"model": BASE, "messages": [{"role": "user", "content": "text"}], "store": True}
            accepted.completions.append(client.chat.completions.create(**ask).id)
            if not kill.ident:
                kill.start()
    except openai.APIConnectionError:
        kill.join()
