"""Jobs through a worker whose trainings are a stand-in: every way from creation to an end."""

import time
from pathlib import Path
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from serve.jobs.leases import claim, kept_alive
from serve.storage.database import Database
from serve.storage.tables import Job
from tests.serve.api_server import (
    BASE,
    ApiServer,
    api_server,
    ended,
    rows_file,
    running_worker,
    until,
    upload,
    write_settings,
)

PASS = {"outcome": "PASS", "conditions": []}
FAIL = {"outcome": "FAIL", "conditions": [{"name": "exact", "outcome": "FAIL", "reason": "12 % of 50, below 95 %"}]}


def create(client: OpenAI, rows: int = 10, **options: Any) -> str:
    return client.fine_tuning.jobs.create(training_file=upload(client, rows), model=BASE, **options).id


def messages(client: OpenAI, job_id: str) -> list[str]:
    """Oldest first."""
    return [event.message for event in client.fine_tuning.jobs.list_events(job_id)][::-1]


def test_a_job_from_file_to_model(api: ApiServer, client: OpenAI) -> None:
    job_id = create(client, 20, hyperparameters={"n_epochs": 4, "batch_size": 10}, suffix="voice")
    with running_worker(api.settings):
        job = ended(client, job_id)
    assert job.status == "succeeded" and job.trained_tokens == 4000 and job.finished_at
    name = job.fine_tuned_model
    assert name.startswith("ft:org/tiny:local:voice:") and len(name.split(":")[-1]) == 8
    numbers = {"n_epochs": 4, "batch_size": 10, "learning_rate_multiplier": 1.0}
    assert job.hyperparameters.model_dump() == numbers
    events = list(client.fine_tuning.jobs.list_events(job_id))[::-1]
    kept = list(client.fine_tuning.jobs.checkpoints.list(job_id))
    assert [item.step_number for item in kept] == [8, 6, 4]  # the last three
    assert kept[0].fine_tuned_model_checkpoint == name
    assert kept[1].fine_tuned_model_checkpoint.endswith(":ckpt-step-6")
    steps = [f"Step {step}/8: training loss={1 / step:.2f}" for step in range(1, 9)]
    told = [event.message for event in events]
    assert [message for message in told if not message.startswith("Checkpoint")] == [
        f"Created fine-tuning job: {job_id}", f"Validating training file: {job.training_file}",
        "Files validated, moving job to queued state", "Fine-tuning job started", *steps,
        f"New fine-tuned model created: {name}", "The job has successfully completed",
    ]  # fmt: skip
    assert sum(message.startswith("Checkpoint created at step ") for message in told) == 3
    metrics = next(event for event in events if event.type == "metrics")
    assert metrics.data == {"step": 1, "total_steps": 8, "train_loss": 1.0, "train_mean_token_accuracy": 0.0}


@pytest.mark.parametrize(("rows", "epochs", "batch"), [(10, 10, 1), (20, 5, 1), (100, 3, 4), (9000, 2, 18)])
def test_auto_becomes_numbers(api: ApiServer, client: OpenAI, rows: int, epochs: int, batch: int) -> None:
    job_id = create(client, rows)
    with running_worker(api.settings, fail="error: stop here", status=1):
        job = ended(client, job_id)
    assert job.hyperparameters.model_dump() == {
        "n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 1.0,
    }  # fmt: skip


BAD = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", "weight": 2}]}\n'
FILES = {
    "nine rows": (
        rows_file(9)[1], "invalid_n_examples", "Training file has 9 example(s), but must have at least 10 examples",
    ),
    "a bad message": (
        rows_file(10)[1] + BAD, "invalid_training_file",
        "The job failed due to an invalid training file. Invalid file format. "
        'Line 11, message 2, key "weight": weight must be 0 or 1',
    ),
    "more than one": (
        BAD + rows_file(10)[1] + BAD, "invalid_training_file",
        "The job failed due to an invalid training file. Invalid file format. "
        'Line 1, message 2, key "weight": weight must be 0 or 1 (+1 more, see events)',
    ),
    "no messages": (
        b'{"tools": []}\n', "invalid_file_format",
        "The job failed due to an invalid training file. Invalid file format. Example 1 is missing key 'messages'.",
    ),
    "an extra key": (
        rows_file(1)[1].replace(b'{"messages"', b'{"id": 1, "messages"', 1), "invalid_file_format",
        'The job failed due to an invalid training file. Invalid file format. Example 1 contains an extra "id".',
    ),
    "prompts": (
        b'{"prompt": "a", "completion": "b"}\n', "invalid_training_file",
        "The job failed due to an invalid training file. "
        "Unexpected file format, expected either prompt/completion pairs or chat messages.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_bad_files_fail_the_job_in_openais_words(api: ApiServer, client: OpenAI, name: str) -> None:
    content, code, message = FILES[name]
    file = client.files.create(file=("rows.jsonl", content), purpose="fine-tune")
    job_id = client.fine_tuning.jobs.create(training_file=file.id, model=BASE).id
    with running_worker(api.settings):
        job = ended(client, job_id)
    assert (job.status, job.error.model_dump()) == (
        "failed", {"code": code, "message": message, "param": "training_file"},
    )  # fmt: skip
    event = client.fine_tuning.jobs.list_events(job_id).data[0]
    assert (event.level, event.message) == ("error", message)
    if name == "more than one":
        assert event.data["n_bad_lines"] == 2  # type: ignore[index]
        assert [error["line"] for error in event.data["errors"]] == [1, 12]  # type: ignore[index]


def test_a_fault_of_the_validation_file_names_it(api: ApiServer, client: OpenAI) -> None:
    bad = client.files.create(file=("v.jsonl", BAD), purpose="fine-tune").id
    job_id = create(client, validation_file=bad)
    with running_worker(api.settings):
        error = ended(client, job_id).error
    assert (error.code, error.param) == ("invalid_validation_file", "validation_file")


@pytest.mark.parametrize("gate", ["advisory", "enforce"])
def test_the_gate_is_advisory_unless_it_is_to_be_enforced(api: ApiServer, client: OpenAI, gate: str) -> None:
    job_id = create(client, validation_file=upload(client, 3), extra_body={"local": {"gate": gate}})
    with running_worker(api.settings, verdict=FAIL):
        job = ended(client, job_id)
    assert job.evaluation["outcome"] == "FAIL"  # type: ignore[attr-defined]
    if gate == "advisory":
        assert job.status == "succeeded"
        assert any("Evaluation gate: FAIL; exact: 12 %" in message for message in messages(client, job_id))
    else:
        assert (job.status, job.error.code, job.fine_tuned_model) == ("failed", "evaluation_gate_failed", None)
        assert client.fine_tuning.jobs.checkpoints.list(job_id).data


def test_cancel_while_queued_and_while_running(api: ApiServer, client: OpenAI) -> None:
    running, waiting = create(client), create(client)
    with running_worker(api.settings, seconds=0.2) as worker:
        until(client, waiting, "queued")
        assert client.fine_tuning.jobs.cancel(waiting).status == "cancelled"
        until(client, running, "running")
        time.sleep(1)
        assert client.fine_tuning.jobs.cancel(running).status == "cancelled"
        later = create(client, hyperparameters={"n_epochs": 1, "batch_size": 10})
        assert ended(client, later).status == "succeeded"  # the cancelled one made room
        assert not worker.stopping.is_set()
    assert client.fine_tuning.jobs.retrieve(running).status == "cancelled"
    assert client.fine_tuning.jobs.retrieve(waiting).result_files == []


def test_pause_and_resume_go_on_from_the_last_checkpoint(api: ApiServer, client: OpenAI) -> None:
    job_id = create(client, hyperparameters={"n_epochs": 3, "batch_size": 2})
    with running_worker(api.settings, seconds=0.3):
        while not client.fine_tuning.jobs.checkpoints.list(job_id).data:
            time.sleep(0.1)
        assert client.fine_tuning.jobs.pause(job_id).status == "paused"
        time.sleep(3)
        assert client.fine_tuning.jobs.retrieve(job_id).status == "paused"
        assert client.fine_tuning.jobs.resume(job_id).status in ("queued", "running")
        assert ended(client, job_id).status == "succeeded"
    steps = [message.split(":")[0] for message in messages(client, job_id) if message.startswith("Step")]
    assert steps == [f"Step {step}/15" for step in range(1, 16)]


def test_a_stopped_worker_leaves_a_job_that_the_next_one_ends(api: ApiServer, client: OpenAI) -> None:
    job_id = create(client, hyperparameters={"n_epochs": 3, "batch_size": 5})
    with running_worker(api.settings, seconds=0.5):
        until(client, job_id, "running")
        time.sleep(1.5)
    assert client.fine_tuning.jobs.retrieve(job_id).status == "running"
    with running_worker(api.settings):
        assert ended(client, job_id).status == "succeeded"
    told = messages(client, job_id)
    assert len(told) == len(set(told))


def test_a_job_whose_worker_died_every_time_fails_with_a_cause(api: ApiServer, client: OpenAI) -> None:
    job_id = create(client)
    with running_worker(api.settings, fail="CUDA out of memory Error", status=1) as worker:
        job = ended(client, job_id)
    assert (job.status, job.error.code) == ("failed", "server_error")
    assert job.error.message == "The training ended with status 1: CUDA out of memory Error"
    dying = create(client)
    database = Database(api.settings.database_url)
    while worker.validate_one():
        pass
    for _ in range(3):  # three workers that take it and are never heard of again
        taken = claim(database, "elsewhere:1", ("queued", "running"), 0.01)
        assert taken and taken.id == dying
        time.sleep(0.1)
    with running_worker(api.settings):
        job = ended(client, dying)
    assert job.status == "failed" and "its worker died 3 times" in job.error.message


def test_a_training_file_that_is_deleted_meanwhile_is_kept_for_its_job(api: ApiServer, client: OpenAI) -> None:
    file_id = upload(client)
    job_id = client.fine_tuning.jobs.create(training_file=file_id, model=BASE).id
    client.files.delete(file_id)
    with pytest.raises(NotFoundError):
        client.files.retrieve(file_id)
    bytes_file = api.settings.storage / "files" / file_id
    assert bytes_file.is_file()
    with running_worker(api.settings):
        assert ended(client, job_id).status == "succeeded"
        deadline = time.monotonic() + 10
        while bytes_file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("too_long", [[3], [3, 7]])
def test_rows_that_are_left_out_are_told_and_more_than_a_tenth_fail(
    api: ApiServer, client: OpenAI, too_long: list[int]
) -> None:
    job_id = create(client, hyperparameters={"n_epochs": 1, "batch_size": 2})
    with running_worker(api.settings, too_long=too_long, seconds=0.5):
        job = ended(client, job_id)
    (told,) = [event for event in client.fine_tuning.jobs.list_events(job_id) if event.level == "warn"]
    count = len(too_long)
    lines = ", ".join(map(str, too_long))
    assert told.message == f"{count} of 10 training rows are left out ({count} too_long): lines {lines}"
    if count == 1:
        assert job.status == "succeeded"
    else:
        assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_training_file", "training_file")
        assert job.error.message.startswith(told.message)


def test_a_validation_longer_than_its_lease_stays_one_workers(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.write() as session:
        session.add(
            Job(
                id="ftjob-1", project="p", created_at=1, status="validating_files", model=BASE, base_model=BASE,
                method={}, training_file="f", result_files=[], error={}, seed=1, local={}, body_sha256="",
            )
        )  # fmt: skip
    assert claim(database, "one", ("validating_files",), 0.6)
    with kept_alive(database, "ftjob-1", "one", 0.6):
        time.sleep(1.5)
        assert claim(database, "two", ("validating_files",), 0.6) is None
    time.sleep(0.8)
    assert claim(database, "two", ("validating_files",), 0.6)


def test_the_organization_stands_in_the_names_of_models(tmp_path: Path) -> None:
    with api_server(write_settings(tmp_path, organization="acme"), "--no-worker") as server:
        client = server.client()
        job_id = create(client, hyperparameters={"n_epochs": 2, "batch_size": 10}, suffix="voice")
        with running_worker(server.settings):
            assert ended(client, job_id).fine_tuned_model.startswith("ft:org/tiny:acme:voice:")
        names = [item.fine_tuned_model_checkpoint for item in client.fine_tuning.jobs.checkpoints.list(job_id)]
    assert all(name.startswith("ft:org/tiny:acme:voice:") for name in names) and len(names) == 2
