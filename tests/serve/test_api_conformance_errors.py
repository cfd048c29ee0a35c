"""Conformance test 3: every error of the contract's catalogue through the real SDK, and how often the SDK asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from serve.storage.database import Database
from serve.transport.access import new_key
from tests.serve.api_server import BASE, ApiServer, api_server, row, upload, write_settings

ASK: Any = {"messages": [{"role": "user", "content": "call"}], "tools": row(1)["tools"]}


def ended_job(client: OpenAI) -> str:
    return client.fine_tuning.jobs.cancel(
        client.fine_tuning.jobs.create(training_file=upload(client), model=BASE).id
    ).id  # fmt: skip


def create(client: OpenAI, **change: Any) -> Any:
    body = {"model": BASE, "training_file": upload(client), **change}
    return client.post("/fine_tuning/jobs", body=body, cast_to=object)


BAD, NONE = openai.BadRequestError, openai.NotFoundError
Row = tuple[Callable[[OpenAI], Any], type[openai.APIStatusError], str | None, str | None, str]
NO_JOB = ("fine_tune_id", "fine_tune_not_found", "Could not find fine tune: ftjob-none")
CATALOGUE: dict[str, Row] = {
    "retrieve no job": (lambda c: c.fine_tuning.jobs.retrieve("ftjob-none"), NONE, *NO_JOB),
    "cancel no job": (lambda c: c.fine_tuning.jobs.cancel("ftjob-none"), NONE, *NO_JOB),
    "events of no job": (lambda c: c.fine_tuning.jobs.list_events("ftjob-none"), NONE, *NO_JOB),
    "checkpoints of no job": (lambda c: c.fine_tuning.jobs.checkpoints.list("ftjob-none"), NONE, *NO_JOB),
    "no file": (lambda c: c.files.retrieve("file-none"), NONE, "id", None, "No such File object: file-none"),
    "no JSONL": (
        lambda c: c.files.create(file=("a.jsonl", b"{}\nno\n"), purpose="fine-tune"), BAD, None, None,
        "Expected file to have JSONL format.* Line 2",
    ),
    "no base": (
        lambda c: create(c, model="x"), BAD, "model", "model_not_available", "is not available for fine-tuning",
    ),
    "no chat model": (
        lambda c: c.chat.completions.create(model="ft:x", **ASK), NONE, "model", "model_not_found", "does not exist",
    ),
    "no training file": (
        lambda c: create(c, training_file="file-none"), BAD, "training_file", "file_not_found", "No such File object",
    ),
    "no validation file": (
        lambda c: create(c, validation_file="file-none"), BAD, "validation_file", "file_not_found", "No such File",
    ),
    "wrong purpose": (
        lambda c: create(c, training_file=c.files.create(file=b"{}", purpose="evals").id), BAD, "training_file",
        "invalid_file_purpose", "'evals'",
    ),
    "bad value": (
        lambda c: create(c, method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}), BAD,
        "method.supervised.hyperparameters.n_epochs", "invalid_value", "from 1 to 50",
    ),
    "unknown field": (lambda c: create(c, n_epochs=3), BAD, "n_epochs", "unknown_parameter", "n_epochs"),
    "cancel an ended job": (
        lambda c: c.fine_tuning.jobs.cancel(ended_job(c)), BAD, None, "invalid_job_state", "its status is cancelled",
    ),
    "pause an ended job": (
        lambda c: c.fine_tuning.jobs.pause(ended_job(c)), BAD, None, "invalid_job_state", "its status is cancelled",
    ),
    "resume an ended job": (
        lambda c: c.fine_tuning.jobs.resume(ended_job(c)), BAD, None, "invalid_job_state", "its status is cancelled",
    ),
    "not supported": (
        lambda c: c.post("/batches", body={}, cast_to=object), BAD, None, "not_supported_locally", "not supported",
    ),
    "no address": (lambda c: c.get("/nonsense", cast_to=object), NONE, None, None, "Invalid URL"),
    "limit": (lambda c: c.files.list(limit=0), BAD, "limit", "invalid_value", "at least 1"),
    "after": (lambda c: c.fine_tuning.jobs.list(after="x"), BAD, "after", "invalid_value", "No such object: x"),
}  # fmt: skip


@pytest.mark.contract(3)
@pytest.mark.parametrize("name", CATALOGUE)
def test_3_an_error_has_its_class_code_and_param_and_is_asked_for_once(api: ApiServer, name: str) -> None:
    call, kind, param, code, text = CATALOGUE[name]
    answers: list[httpx.Response] = []
    with httpx.Client(event_hooks={"response": [answers.append]}) as http, pytest.raises(kind, match=text) as error:
        call(api.client(max_retries=2, http_client=http))
    assert (error.value.param, error.value.code, error.value.type) == (param, code, "invalid_request_error")
    assert error.value.request_id
    assert [answer.status_code for answer in answers if answer.is_error] == [error.value.status_code]


@pytest.mark.contract(3)
def test_3_a_wrong_key_is_refused_once_and_a_rate_limit_is_tried_again(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    key = new_key(Database(f"sqlite:///{tmp_path / 'storage' / 'api.db'}"), "slow", "default", 60)
    with api_server(settings, "--no-worker") as server:
        answers: list[httpx.Response] = []
        with httpx.Client(event_hooks={"response": [answers.append]}) as http:
            with pytest.raises(openai.AuthenticationError) as wrong:
                server.client("wrong", max_retries=2, http_client=http).files.list()
            assert (wrong.value.code, wrong.value.type) == ("invalid_api_key", "invalid_request_error")
            assert len(answers) == 1
            headers = {"Authorization": f"Bearer {key}"}
            while httpx.get(f"{server.base_url}/files", headers=headers).status_code != 429:
                pass
            answers.clear()
            server.client(key, max_retries=2, http_client=http).files.list()  # one a second comes back
            assert [answer.status_code for answer in answers][-1] == 200 and len(answers) > 1
