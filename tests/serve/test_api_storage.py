"""The same jobs on SQLite and PostgreSQL; several API processes and workers on one database; kills at any moment."""

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from serve.jobs.leases import claim
from serve.jobs.worker_loop import WorkerLoop
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from tests.serve.api_server import BASE, FAKE_RUN, api_server, ended, upload, write_settings
from tests.serve.kill_test import TARGETS, database, run
from tests.serve.postgres_server import PostgresServer

KILLS = 9
SHORT: dict[str, Any] = {"hyperparameters": {"n_epochs": 3, "batch_size": 5}}
"""Six steps, three checkpoints."""


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
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kills_of_the_api_the_worker_and_vllm_lose_and_double_nothing(kind: str, tmp_path: Path) -> None:
    with database(kind) as url:
        found = run(tmp_path, url, KILLS, seed=4)
    assert found["faults"] == [], found
    assert sum(found["kills"].values()) == KILLS and set(found["kills"]) == set(TARGETS)
    assert all(count >= KILLS for count in found["accepted"].values()) and found["broken_requests"], found
