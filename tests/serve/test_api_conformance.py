"""The twelve conformance tests of the fine-tuning contract, by number, driven by OpenAI's real Python SDK.

1. a tutorial script, unedited  2. pages of events  3. errors and how often clients ask  4. one job for a lost answer
5. a model name with a slash  6. a bad file for each row rule  7. few rows, what "auto" becomes  8. labels  9. prompts
10. stored completions become rows  11. cancel, restart, a file that is deleted  12. other languages' clients.

Tests that carry `contract(N)` are here, and for 3, 6, 8, 9 and 12 where their parts are tested.
"""

import base64
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.conftest import ROOT
from tests.serve.api_server import (
    BASE,
    ApiServer,
    api_server,
    ended,
    row,
    rows_file,
    running_worker,
    start_server,
    until,
    upload,
    write_settings,
)  # fmt: skip

SHORT: Any = {"n_epochs": 3, "batch_size": 5}
ASK: Any = {"messages": [{"role": "user", "content": "call"}], "tools": row(1)["tools"]}


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = write_settings(tmp_path_factory.mktemp("conformance"), engines={BASE: f"{planted}/v1"})
    with api_server(settings, "--no-worker") as server:
        yield server


def test_every_number_has_its_test() -> None:
    marks = [
        re.findall(r"@pytest\.mark\.contract\((\d+)\)", path.read_text()) for path in (ROOT / "tests").rglob("*.py")
    ]
    assert {int(number) for number in itertools.chain(*marks)} == set(range(1, 13))


@pytest.mark.contract(1)
def test_1_a_tutorial_script_runs_unedited(api: ApiServer, client: OpenAI, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(rows_file(10)[1])
    with running_worker(api.settings):
        # From here on as tutorials have it.
        training_file = client.files.create(file=open(tmp_path / "train.jsonl", "rb"), purpose="fine-tune")  # noqa: SIM115, PTH123
        job = client.fine_tuning.jobs.create(
            training_file=training_file.id,
            model="gpt-4o-mini-2024-07-18",
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
        )
        while True:
            job = client.fine_tuning.jobs.retrieve(job.id)
            if job.status in ["succeeded", "failed", "cancelled"]:
                break
            time.sleep(0.2)
        events = list(client.fine_tuning.jobs.list_events(fine_tuning_job_id=job.id, limit=10))
        checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
        results = client.files.content(job.result_files[0]).read()
        completion = client.chat.completions.create(model=job.fine_tuned_model, **ASK)  # type: ignore[arg-type]
    assert job.status == "succeeded" and job.fine_tuned_model == checkpoints[0].fine_tuned_model_checkpoint
    assert events[0].message == "The job has successfully completed" and len(events) > 30
    assert [checkpoint.step_number for checkpoint in checkpoints] == [30, 20, 10]
    assert len(base64.b64decode(results).decode().splitlines()) == 31
    (call,) = completion.choices[0].message.tool_calls or []
    assert (completion.model, completion.choices[0].finish_reason) == (job.fine_tuned_model, "tool_calls")
    assert call.type == "function" and isinstance(call.function.arguments, str)


@pytest.mark.contract(2)
def test_2_pages_hold_each_event_once_newest_first(api: ApiServer, client: OpenAI) -> None:
    job = client.fine_tuning.jobs.create(training_file=upload(client), model=BASE, hyperparameters=SHORT)
    with running_worker(api.settings):
        ended(client, job.id)
    requests: list[Any] = []
    with httpx.Client(event_hooks={"request": [requests.append]}) as http:
        events = list(client.copy(http_client=http).fine_tuning.jobs.list_events(job.id, limit=2))
    assert len(events) > 10 and len({event.id for event in events}) == len(events)
    assert len(requests) == -(-len(events) // 2)
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    steps = [event.data["step"] for event in events if event.type == "metrics"]  # type: ignore[index]
    assert steps == [6, 5, 4, 3, 2, 1]


class Losing(httpx.HTTPTransport):
    """The server takes the request; its first answers are lost, or an error stands in their place."""

    def __init__(self, lost: list[Exception | int]) -> None:
        super().__init__()
        self.lost = lost
        self.retry_counts: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.retry_counts.append(request.headers["x-stainless-retry-count"])
        if not self.lost:
            return answer
        answer.read()
        assert answer.status_code == 200
        lost = self.lost.pop(0)
        if isinstance(lost, Exception):
            raise lost
        return httpx.Response(lost, request=request)


@pytest.mark.contract(4)
@pytest.mark.parametrize("lost", [[500], [502, 503], [httpx.ReadError("broken")]], ids=str)
def test_4_a_lost_answer_makes_one_job(api: ApiServer, client: OpenAI, lost: list[Exception | int]) -> None:
    transport, tries = Losing(list(lost)), len(lost) + 1
    with httpx.Client(transport=transport) as http:
        patient = api.client(max_retries=2, http_client=http)
        suffix = f"lost-{lost}"[:60]
        job = patient.fine_tuning.jobs.create(training_file=upload(client), model=BASE, suffix=suffix)
    assert transport.retry_counts == [str(number) for number in range(tries)]
    made = [
        each.id for each in client.fine_tuning.jobs.list(limit=100) if each.to_dict()["user_provided_suffix"] == suffix
    ]
    assert made == [job.id]


@pytest.mark.contract(5)
def test_5_a_model_name_with_a_slash(api: ApiServer, client: OpenAI) -> None:
    job_id = client.fine_tuning.jobs.create(
        training_file=upload(client), model=BASE, hyperparameters=SHORT, suffix="s p"
    ).id  # fmt: skip
    with running_worker(api.settings):
        name = ended(client, job_id).fine_tuned_model
    assert name.startswith("ft:org/tiny:local:s p:")
    assert client.models.retrieve(name).id == name
    checkpoint = client.fine_tuning.jobs.checkpoints.list(job_id).data[1].fine_tuned_model_checkpoint
    assert client.models.retrieve(checkpoint).id == checkpoint
    assert client.models.retrieve(BASE).id == BASE
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("ft:org/tiny:local:s p:none0000")
    assert client.models.delete(name).deleted and name not in [model.id for model in client.models.list()]


@pytest.mark.contract(7)
@pytest.mark.parametrize(("rows", "epochs"), [(9, None), (10, 10), (100, 3)])
def test_7_few_rows_and_automatic_epochs(api: ApiServer, client: OpenAI, rows: int, epochs: int | None) -> None:
    job_id = client.fine_tuning.jobs.create(training_file=upload(client, rows), model=BASE).id
    with running_worker(api.settings, fail="error: not trained here", status=1):
        job = ended(client, job_id)
    if epochs is None:
        assert (job.error.code, job.error.param) == ("invalid_n_examples", "training_file")
        assert job.error.message == "Training file has 9 example(s), but must have at least 10 examples"
    else:
        assert job.hyperparameters.n_epochs == epochs


@pytest.mark.contract(10)
def test_10_what_was_stored_trains_a_model(api: ApiServer, client: OpenAI, tmp_path: Path) -> None:
    pair = {"for": "training"}
    made = [
        client.chat.completions.create(model=BASE, store=True, metadata=pair | {"n": str(number)}, **ASK).id
        for number in range(10)
    ]
    assert [stored.id for stored in client.chat.completions.list(metadata=pair, limit=3)] == made
    (message,) = client.chat.completions.messages.list(made[0]).data
    assert (message.id, message.content) == (f"{made[0]}-0", "call")
    dump, rows = tmp_path / "dump.jsonl", tmp_path / "rows.jsonl"
    export = ["serve.export_completions", str(api.settings_file), "--out", str(dump), "--metadata", "for=training"]
    for command in (export, ["data.convert", str(dump), "--out", str(rows)]):
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [set(each) >= {"messages", "tools"} for each in told] == [True] * 10
    file_id = client.files.create(file=rows.open("rb"), purpose="fine-tune").id
    job_id = client.fine_tuning.jobs.create(training_file=file_id, model=BASE, hyperparameters=SHORT).id
    with running_worker(api.settings):
        assert ended(client, job_id).status == "succeeded"


@pytest.mark.contract(11)
def test_11_cancel_in_each_state(api: ApiServer, client: OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    file_id = upload(client)
    waiting = jobs.create(training_file=file_id, model=BASE).id
    assert jobs.cancel(waiting).status == "cancelled"  # validating_files: no worker yet
    running, queued, paused = (jobs.create(training_file=file_id, model=BASE).id for _ in range(3))
    with running_worker(api.settings, seconds=0.2):
        until(client, running, "running")
        for job_id in (queued, paused):
            until(client, job_id, "queued")
        assert jobs.pause(paused).status == "paused"
        for job_id in (running, queued, paused):
            assert jobs.cancel(job_id).status == "cancelled"
        done = jobs.create(training_file=file_id, model=BASE, hyperparameters={"n_epochs": 1, "batch_size": 10}).id
        assert ended(client, done).status == "succeeded"
    failed = jobs.create(training_file=upload(client, 3), model=BASE).id
    with running_worker(api.settings):
        assert ended(client, failed).status == "failed"
    for job_id in (running, done, failed):
        with pytest.raises(openai.BadRequestError) as error:
            jobs.cancel(job_id)
        assert error.value.code == "invalid_job_state"
    assert all(jobs.retrieve(job_id).finished_at for job_id in (waiting, running, queued, paused, done, failed))


@pytest.mark.contract(11)
def test_11_a_restart_while_running_and_a_file_deleted_meanwhile(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    server = start_server(settings, "--no-worker")
    client = server.client()
    file_id = upload(client)
    job_id = client.fine_tuning.jobs.create(training_file=file_id, model=BASE, hyperparameters=SHORT).id
    with running_worker(server.settings, seconds=0.5):
        until(client, job_id, "running")
        assert client.files.delete(file_id).deleted
        server.process.kill()
        server.process.wait()
        time.sleep(0.5)
    with api_server(settings, "--no-worker") as again, running_worker(again.settings):
        client = again.client()
        assert ended(client, job_id).status == "succeeded"
        told = [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=100)]
        assert len(told) == len(set(told)) and sum(message.startswith("Step ") for message in told) == 6
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file_id)
