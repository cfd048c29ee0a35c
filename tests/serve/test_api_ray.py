"""Jobs on a real Ray cluster of two nodes: every way to an end, with a stand-in training and with a real one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from data.settings import load_settings
from data.user_error import UserError
from serve.api_settings import ApiSettings
from tests.conftest import ROOT
from tests.serve.api_server import (
    BASE,
    ApiServer,
    api_server,
    ended,
    running_worker,
    upload,
    write_settings,
)
from tests.serve.ray_cluster import RAY, RayCluster
from tests.serve.scale_out_guide import settings

pytestmark = pytest.mark.skipif(not RAY.is_file(), reason="Ray is not installed: make ray")
LONG = {"n_epochs": 10, "batch_size": 1}
SHORT = {"n_epochs": 2, "batch_size": 5}


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    cluster = RayCluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def api(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Its trainings are `fake_recipe_run`: on the nodes, the project's folder is one that has only that."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "root" / "recipes").mkdir(parents=True)
    (folder / "root" / "recipes" / "run.py").symlink_to(ROOT / "tests" / "serve" / "fake_recipe_run.py")
    ray = {"address": cluster.address, "entrypoint_num_gpus": 0, "root": str(folder / "root"), "max_jobs": 3}
    with api_server(write_settings(folder, runner={"ray": ray}), "--no-worker") as server:
        yield server


def create(client: OpenAI, **hyperparameters: int) -> str:
    file_id = upload(client)
    return client.fine_tuning.jobs.create(training_file=file_id, model=BASE, hyperparameters=hyperparameters).id  # type: ignore[arg-type]


def messages(client: OpenAI, job_id: str) -> list[str]:
    return [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=1000)][::-1]


def wait(is_so: Any, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def is_training(job_id: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"recipes.run .*{job_id}"], capture_output=True, check=False).returncode == 0


def test_jobs_run_two_at_a_time_and_are_cancelled_running_and_waiting(
    api: ApiServer, client: OpenAI, cluster: RayCluster
) -> None:
    jobs = [create(client, **LONG) for _ in range(3)]
    with running_worker(api.settings, seconds=0.5):
        wait(lambda: sum("Step 1/" in " ".join(messages(client, job_id)) for job_id in jobs) == 2)
        waiting = next(job_id for job_id in jobs if not is_training(job_id))
        wait(lambda: "The job waits for room on the Ray cluster" in " ".join(messages(client, waiting)))
        running = [job_id for job_id in jobs if job_id != waiting]
        client.fine_tuning.jobs.cancel(waiting)
        client.fine_tuning.jobs.cancel(running[0])
        wait(lambda: not is_training(running[0]))
        paused = client.fine_tuning.jobs.pause(running[1])
        assert paused.status == "paused"
        wait(lambda: not is_training(running[1]))
        wait(lambda: all(cluster.job(job_id)["status"] == "STOPPED" for job_id in jobs), 120)
        (api.settings.runs / "fake.json").write_text("{}")
        client.fine_tuning.jobs.resume(running[1])
        assert ended(client, running[1], 120).status == "succeeded"
    told = messages(client, running[1])
    assert len(told) == len(set(told)) and sum(message.startswith("Step ") for message in told) == 100
    assert f"The training runs on the Ray cluster at {cluster.address}" in told
    assert client.fine_tuning.jobs.retrieve(waiting).status == "cancelled" and not is_training(waiting)


def test_a_job_whose_worker_is_killed_goes_on_and_is_found_again(
    api: ApiServer, client: OpenAI, cluster: RayCluster
) -> None:
    (api.settings.runs / "fake.json").write_text(json.dumps({"seconds": 1.0}))
    job_id, unwanted = create(client, n_epochs=2, batch_size=1), create(client, **LONG)
    command = [sys.executable, "-m", "serve.worker", str(api.settings_file)]
    worker = subprocess.Popen(command, cwd=ROOT)
    wait(lambda: is_training(job_id) and is_training(unwanted))
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    began = cluster.job(job_id)["start_time"]
    client.fine_tuning.jobs.cancel(unwanted)  # nobody is there to see it
    assert is_training(job_id)
    with running_worker(api.settings, seconds=1.0):
        assert ended(client, job_id, 120).status == "succeeded"
        wait(lambda: not is_training(unwanted))
    assert cluster.job(job_id)["start_time"] == began
    told = messages(client, job_id)
    assert len(told) == len(set(told)) and sum(message.startswith("Step ") for message in told) == 20


def test_ends_that_are_no_success_have_a_cause(api: ApiServer, client: OpenAI, cluster: RayCluster) -> None:
    failing = create(client, **SHORT)
    with running_worker(api.settings, fail="ValueError: no such thing", status=1):
        assert (
            ended(client, failing, 120).error.message == "The training ended with status 1: ValueError: no such thing"
        )  # type: ignore[union-attr]
    stopped, killed = create(client, **LONG), create(client, **LONG)
    with running_worker(api.settings, seconds=0.5):
        wait(lambda: is_training(stopped) and is_training(killed))
        subprocess.run([RAY, "job", "stop", f"--address={cluster.address}", stopped], check=True, capture_output=True)
        pids = subprocess.run(["pgrep", "-f", f"recipes.run .*{killed}"], capture_output=True, text=True, check=True)
        for pid in pids.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        stop, kill = (ended(client, job_id, 120).error.message for job_id in (stopped, killed))  # type: ignore[union-attr]
    assert stop == "The training failed: it was stopped on the Ray cluster"
    assert kill.startswith("The training was killed (SIGKILL), perhaps for lack of memory")


def test_a_job_that_no_node_could_take_says_so(cluster: RayCluster, tmp_path: Path) -> None:
    ray = {"address": cluster.address, "entrypoint_num_gpus": 1}
    with api_server(write_settings(tmp_path, runner={"ray": ray}), "--no-worker") as server:
        client = server.client()
        job_id = create(client, **SHORT)
        with running_worker(server.settings):
            wait(lambda: "none of whose nodes has what entrypoint_num_gpus" in " ".join(messages(client, job_id)))
            assert client.fine_tuning.jobs.cancel(job_id).status == "cancelled"
            wait(lambda: cluster.job(job_id)["status"] != "RUNNING")


def test_a_cluster_that_is_away_fails_the_job_after_a_while(tmp_path: Path) -> None:
    ray = {"address": "http://127.0.0.1:9", "entrypoint_num_gpus": 0, "give_up_s": 2}
    with api_server(write_settings(tmp_path, runner={"ray": ray}), "--no-worker") as server:
        client = server.client()
        job_id = create(client, **SHORT)
        with running_worker(server.settings):
            job = ended(client, job_id)
    assert job.error.message.startswith(
        "The training failed: the Ray cluster at http://127.0.0.1:9 could not be used for 2 s"
    )


def test_settings_of_the_runner_are_checked(tmp_path: Path) -> None:
    for wrong in ({"adress": "http://a:1"}, {"address": "a:1"}):
        with pytest.raises(UserError, match=r"runner\.ray"):
            load_settings(write_settings_in(tmp_path, wrong), [], ApiSettings)
    with pytest.raises(UserError, match="train_devices"):
        load_settings(write_settings_in(tmp_path, {"address": "http://a:1"}), ["train_devices=['0']"], ApiSettings)


def write_settings_in(folder: Path, ray: dict[str, str]) -> Path:
    path = folder / "api.yaml"
    path.write_text(json.dumps({"runner": {"ray": ray}}))
    return path


@pytest.mark.slow
def test_a_real_training_outlives_the_node_it_runs_on(cluster: RayCluster, tmp_path: Path, smollm2: Path) -> None:
    runner = settings("runner", **{"http://HEAD:8265": cluster.address})["runner"]
    with api_server(write_settings(tmp_path, smollm2, runner=runner)) as server:
        client = server.client()
        empty_head = cluster.occupy_head()
        job_id = create(client, n_epochs=30, batch_size=1)
        wait(lambda: bool(client.fine_tuning.jobs.checkpoints.list(job_id).data), 300)
        assert cluster.kill_node_of(job_id) > 5
        wait(lambda: "The job waits for room" in " ".join(messages(client, job_id)), 120)
        empty_head()
        job = ended(client, job_id, 300)
        assert job.status == "succeeded", job.error
        told = messages(client, job_id)
        steps = [message for message in told if message.startswith("Step ")]
        assert [step.split(":")[0] for step in steps] == [f"Step {number}/300" for number in range(1, 301)]
        assert (
            sum("was lost" in message and "begins again from its last checkpoint" in message for message in told) == 1
        )
        assert len(cluster.living_nodes()) == 1
