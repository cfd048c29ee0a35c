"""Every rule of the contract's row formats as a bad file through the API, with the error that clients get.

The files are those of tests/data/golden/rules; golden_rules.txt has a line for each: status, code, param and message of
the job, or `POST /v1/files` where the upload is refused already, and the warnings of a job that goes on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.serve.api_server import BASE, ApiServer, row, running_worker

RULES = Path(__file__).parents[1] / "data" / "golden" / "rules"
EXPECTED = Path(__file__).parent / "golden_rules.txt"
NAMES = [f"S{number}" for number in range(1, 26)] + [f"P{number}" for number in range(1, 9)]


def preference(number: int) -> dict[str, Any]:
    whole = row(number)
    asked = {"messages": whole["messages"][:-1], "tools": whole["tools"]}
    worse = [{"role": "assistant", "content": f"I cannot tell {number}."}]
    return {"input": asked, "preferred_output": whole["messages"][-1:], "non_preferred_output": worse}


def content(name: str) -> bytes:
    """The bad rows, then good ones, of which OpenAI wants ten."""
    made = preference if name.startswith("P") else row
    good = "".join(json.dumps(made(number)) + "\n" for number in range(10))
    return (RULES / f"{name}.jsonl").read_bytes() + good.encode()


def told(client: OpenAI, job_id: str) -> list[str]:
    job = client.fine_tuning.jobs.retrieve(job_id)
    if job.status == "failed":
        assert job.error
        return [f"{job.status} {job.error.code} {job.error.param}: {job.error.message}"]
    events = [event for event in client.fine_tuning.jobs.list_events(job_id) if event.level == "warn"]
    return [job.status, *(f"warning: {event.message}" for event in events[::-1])]


@pytest.fixture(scope="module")
def outcomes(api: ApiServer, client: OpenAI) -> Iterator[dict[str, list[str]]]:
    """What became of each file; all jobs are validated by one worker."""
    found, jobs = {}, {}
    for name in NAMES:
        method: Any = {"type": "dpo" if name.startswith("P") else "supervised"}
        try:
            file = client.files.create(file=(f"{name}.jsonl", content(name)), purpose="fine-tune")
        except openai.BadRequestError as error:
            found[name] = [f"POST /v1/files {error.status_code} {error.code} {error.param}: {error.body['message']}"]  # type: ignore[index]
            continue
        jobs[name] = client.fine_tuning.jobs.create(training_file=file.id, model=BASE, method=method).id
    with running_worker(api.settings) as worker:
        worker.stopping.set()  # nothing is trained here
    while worker.validate_one():
        pass
    yield found | {name: told(client, job_id) for name, job_id in jobs.items()}


@pytest.mark.contract(6)
@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_told_in_openais_words(outcomes: dict[str, list[str]], name: str) -> None:
    sections = EXPECTED.read_text().split("== ")[1:]
    expected = {lines[0]: lines[1:] for lines in (section.splitlines() for section in sections)}
    assert outcomes[name] == expected[name]
