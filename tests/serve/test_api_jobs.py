"""/v1/fine_tuning/jobs as OpenAI's SDK meets it, before anything is trained."""

import json
import re
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.serve.api_server import BASE, ApiServer, upload


@pytest.fixture(scope="module")
def file_id(client: OpenAI) -> str:
    return upload(client)


def test_a_new_job_has_every_field(client: OpenAI, file_id: str) -> None:
    job = client.fine_tuning.jobs.create(
        training_file=file_id, model="gpt-4o-mini-2024-07-18", hyperparameters={"n_epochs": 3}, suffix="voice",
        metadata={"team": "a b"},
    )  # fmt: skip
    assert re.fullmatch("ftjob-[A-Za-z0-9]{24}", job.id)
    numbers = {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert 0 <= job.seed < 2**31
    assert json.loads(job.to_json()) == {
        "id": job.id, "object": "fine_tuning.job", "created_at": job.created_at, "finished_at": None,
        "model": "gpt-4o-mini-2024-07-18", "base_model": BASE, "fine_tuned_model": None,
        "organization_id": "org-local", "status": "validating_files", "hyperparameters": numbers,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}}, "training_file": file_id,
        "validation_file": None, "result_files": [], "trained_tokens": None,
        "error": {"code": None, "message": None, "param": None}, "seed": job.seed, "estimated_finish": None,
        "integrations": [], "metadata": {"team": "a b"}, "user_provided_suffix": "voice", "usage_metrics": None,
        "shared_with_openai": False, "evaluation": None,
    }  # fmt: skip
    assert client.fine_tuning.jobs.retrieve(job.id) == job
    listed = client.fine_tuning.jobs.list(extra_query={"metadata[team]": "a b"})
    assert [item.id for item in listed.data] == [job.id]
    assert client.fine_tuning.jobs.list(extra_query={"metadata[team]": ""}).data == []
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert messages[-1] == f"Created fine-tuning job: {job.id}"
    assert "stands for the base model 'org/tiny'" in messages[0]


def test_nulls_and_integrations_are_taken_as_openai_takes_them(client: OpenAI, file_id: str) -> None:
    wandb = [{"type": "wandb", "wandb": {"project": "p"}}]
    job = client.fine_tuning.jobs.create(
        training_file=file_id, model=BASE, seed=None, suffix=None, validation_file=None, metadata=None,
        integrations=wandb,  # type: ignore[arg-type]
    )  # fmt: skip
    assert job.integrations and job.integrations[0].wandb.project == "p"
    events = client.fine_tuning.jobs.list_events(job.id).data
    assert [event.level for event in events] == ["warn", "info"]


def test_pages_of_events_hold_each_event_once(client: OpenAI, file_id: str) -> None:
    job = client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")
    client.fine_tuning.jobs.cancel(job.id)
    requests: list[str] = []
    hook = {"request": [lambda request: requests.append(str(request.url))]}
    with httpx.Client(event_hooks=hook) as http:
        counting = client.copy(http_client=http)
        events = list(counting.fine_tuning.jobs.list_events(job.id, limit=2))
    assert len({event.id for event in events}) == len(events) == 3
    assert len(requests) == 2
    assert events[0].message == "The job was cancelled"


CREATE: dict[str, Any] = {"model": BASE, "training_file": "FILE"}
BAD_REQUEST = openai.BadRequestError
ERRORS = {
    "unknown base": ({"model": "davinci"}, "model", "model_not_available", "is not available for fine-tuning"),
    "unknown file": ({"training_file": "file-x"}, "training_file", "file_not_found", "No such File object: file-x"),
    "unknown validation file": ({"validation_file": "file-y"}, "validation_file", "file_not_found", "file-y"),
    "file of another purpose": ({"training_file": "EVALS"}, "training_file", "invalid_file_purpose", "'evals'"),
    "epochs": ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "invalid_value", "from 1 to 50"),
    "epochs true": ({"hyperparameters": {"n_epochs": True}}, "hyperparameters.n_epochs", "invalid_value", "whole"),
    "batch": ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size", "invalid_value", "256"),
    "rate": (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"learning_rate_multiplier": 0}}}},
        "method.supervised.hyperparameters.learning_rate_multiplier", "invalid_value", "above 0",
    ),
    "two places": (
        {
            "hyperparameters": {"n_epochs": 1},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        },
        "hyperparameters", "invalid_value", "differ",
    ),
    "wrong part": ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo", "invalid_value", "does not fit"),
    "reinforcement": ({"method": {"type": "reinforcement"}}, "method", "not_supported_locally", "not supported"),
    "beta": (
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.5}}}}, "method.dpo.hyperparameters.beta",
        "invalid_value", "at most 2",
    ),
    "dpo's other place": (
        {"method": {"type": "dpo"}, "hyperparameters": {"n_epochs": 1}}, "hyperparameters", "invalid_value",
        "method.dpo",
    ),
    "long suffix": ({"suffix": "x" * 65}, "suffix", "invalid_value", "64"),
    "empty suffix": ({"suffix": ""}, "suffix", "invalid_value", "at least 1"),
    "NUL": ({"suffix": "a\0"}, "suffix", "invalid_value", "NUL"),
    "seed": ({"seed": -1}, "seed", "invalid_value", "greater than or equal to 0"),
    "metadata": ({"metadata": {"a": 1}}, "metadata.a", "invalid_value", "strings"),
    "much metadata": ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "invalid_value", "at most 16"),
    "unknown field": ({"epochs": 3}, "epochs", "unknown_parameter", "Extra inputs"),
    "unknown local field": ({"local": {"rank": 3}}, "local.rank", "unknown_parameter", "Extra inputs"),
    "a regex": ({"local": {"target_modules": ["(a+)+$"]}}, "local.target_modules.0", "invalid_value", "pattern"),
    "a path as model": ({"model": "../../etc"}, "model", "model_not_available", "is not available"),
    "no model": ({"model": None}, "model", "invalid_value", "string"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_of_creation(client: OpenAI, api: ApiServer, file_id: str, name: str) -> None:
    change, param, code, text = ERRORS[name]
    body = CREATE | {"training_file": file_id} | change
    if body["training_file"] == "EVALS":
        body["training_file"] = client.files.create(file=b"{}", purpose="evals").id
    requests: list[Any] = []
    with httpx.Client(event_hooks={"request": [requests.append]}) as http:
        patient = api.client(max_retries=2, http_client=http)
        with pytest.raises(BAD_REQUEST, match=re.escape(text)) as error:
            patient.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert (error.value.param, error.value.code) == (param, code)
    assert error.value.type == "invalid_request_error" and error.value.request_id
    assert len(requests) == 1


def test_unknown_jobs_everywhere(client: OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    for call in (jobs.retrieve, jobs.cancel, jobs.list_events, jobs.checkpoints.list, jobs.pause, jobs.resume):
        with pytest.raises(openai.NotFoundError, match="Could not find fine tune: ftjob-none") as error:
            call("ftjob-none")
        assert (error.value.param, error.value.code) == ("fine_tune_id", "fine_tune_not_found")


def test_a_job_that_ended_cannot_be_cancelled_paused_or_resumed(client: OpenAI, file_id: str) -> None:
    jobs = client.fine_tuning.jobs
    job = jobs.create(training_file=file_id, model=BASE)
    with pytest.raises(BAD_REQUEST, match="its status is validating_files"):
        jobs.resume(job.id)
    assert jobs.cancel(job.id).status == "cancelled"
    for call in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(BAD_REQUEST) as error:
            call(job.id)
        assert error.value.code == "invalid_job_state"
    assert jobs.retrieve(job.id).finished_at


def test_a_retried_creation_makes_one_job(api: ApiServer, client: OpenAI, file_id: str) -> None:
    """The SDK repeats a POST after a broken connection, with x-stainless-retry-count and nothing else to tell by."""
    body = {"training_file": file_id, "model": BASE, "suffix": "once"}
    url = f"{api.base_url}/fine_tuning/jobs"
    first = httpx.post(url, json=body, headers={"x-stainless-retry-count": "0"}).json()["id"]
    again = [httpx.post(url, json=body, headers={"x-stainless-retry-count": str(n)}).json()["id"] for n in (1, 2)]
    assert again == [first, first]
    assert httpx.post(url, json=body).json()["id"] != first  # somebody means it twice
    keyed = [httpx.post(url, json=body, headers={"Idempotency-Key": "k1"}).json()["id"] for _ in range(3)]
    assert len(set(keyed)) == 1
    other = httpx.post(url, json=body | {"suffix": "x"}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 400


@pytest.mark.parametrize("path", ["uploads", "batches", "fine_tuning/checkpoints/m/permissions", "embeddings"])
def test_what_is_not_supported_is_refused_at_once(api: ApiServer, path: str) -> None:
    answer = httpx.post(f"{api.base_url}/{path}", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_supported_locally")


def test_wrong_addresses_and_bodies_have_openai_errors(api: ApiServer) -> None:
    answers = [
        httpx.get(f"{api.base_url}/nonsense"),
        httpx.put(f"{api.base_url}/files"),
        httpx.post(f"{api.base_url}/fine_tuning/jobs", content=b"{"),
        httpx.post(f"{api.base_url}/fine_tuning/jobs", content=b"[]"),
        httpx.post(f"{api.base_url}/fine_tuning/jobs", content=b"\xff"),
        httpx.post(f"{api.base_url}/fine_tuning/jobs", content=b'{"model": "\\ud800"}'),
        httpx.get(f"{api.base_url}/fine_tuning/jobs?limit=many"),
        httpx.post(f"{api.base_url}/files", data={"purpose": "fine-tune"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 405] + [400] * 6
    for answer in answers:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"].startswith("req_")


def test_the_log_holds_no_prompt_and_every_request_id(api: ApiServer, client: OpenAI) -> None:
    secret = "Zanzibar-4711"
    answer = httpx.get(f"{api.base_url}/fine_tuning/jobs?metadata[x]={secret}", headers={"x-request-id": "forged"})
    assert answer.headers["x-request-id"] != "forged"
    assert answer.headers["x-request-id"] in api.log
    assert secret not in api.log
