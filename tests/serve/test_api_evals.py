"""Evals with OpenAI's SDK: criteria on answers that are planted, on samples that rows bring, and what is refused."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.serve.api_server import BASE, ApiServer, api_server, row, start_server, write_settings
from tests.serve.planted_vllm import TEXT, USAGE

SCHEMA = {"type": "object", "properties": {"wish": {"type": "string"}, "tool": {"type": "string"}}}
CONFIG: Any = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
NAME: Any = {
    "type": "string_check", "name": "tool", "input": "{{sample.output_tools[0].function.name}}",
    "reference": "{{item.tool}}", "operation": "eq",
}  # fmt: skip
WORDS: Any = {
    "type": "text_similarity", "name": "words", "input": "{{ sample.output_text }}", "reference": TEXT,
    "evaluation_metric": "fuzzy_match", "pass_threshold": 0.9,
}  # fmt: skip
ASK: Any = {"type": "template", "template": [{"role": "user", "content": "{{item.wish}}"}]}


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = write_settings(tmp_path_factory.mktemp("evals"), engines={BASE: f"{planted}/v1"})
    with api_server(settings, "--no-worker") as server:
        yield server


def completions(items: list[dict[str, Any]], **options: Any) -> Any:
    source = {"type": "file_content", "content": [{"item": item} for item in items]}
    sampling = {"tools": row(1)["tools"], "temperature": 0}
    asked = {"type": "completions", "model": BASE, "input_messages": ASK, "sampling_params": sampling}
    return {**asked, "source": source, **options}


def ended(client: OpenAI, eval_id: str, run_id: str) -> Any:
    deadline = time.monotonic() + 60
    while (run := client.evals.runs.retrieve(run_id, eval_id=eval_id)).status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    return run


def test_answers_are_graded(client: OpenAI) -> None:
    made = client.evals.create(name="tools", data_source_config=CONFIG, testing_criteria=[NAME], metadata={"a": "b"})
    assert made.object == "eval" and made.data_source_config.to_dict()["schema"]["properties"]["item"] == SCHEMA
    items = [{"wish": "call", "tool": "get_weather"}, {"wish": "call", "tool": "other"}, {"wish": "text", "tool": "x"}]
    run = client.evals.runs.create(made.id, name="first", data_source=completions(items))
    assert (run.object, run.status, run.model) == ("eval.run", "queued", BASE)
    run = ended(client, made.id, run.id)
    assert (run.status, run.error) == ("completed", None)
    assert run.result_counts.model_dump() == {"total": 3, "passed": 1, "failed": 2, "errored": 0}
    (criterion,) = run.per_testing_criteria_results
    assert (criterion.testing_criteria, criterion.passed, criterion.failed) == ("tool", 1, 2)
    (usage,) = run.per_model_usage
    assert (usage.invocation_count, usage.total_tokens) == (3, 3 * USAGE["total_tokens"])
    told = list(client.evals.runs.output_items.list(run.id, eval_id=made.id, limit=2))
    assert [(item.datasource_item_id, item.status) for item in told] == [(0, "pass"), (1, "fail"), (2, "fail")]
    assert told[0].results[0].model_dump()["score"] == 1.0 and told[0].datasource_item == items[0]
    assert told[0].sample.finish_reason == "tool_calls" and told[0].sample.input[0].content == "call"
    assert "nothing at 0" in told[2].results[0].model_dump()["why"]  # it called nothing
    passed = client.evals.runs.output_items.list(run.id, eval_id=made.id, status="pass")
    assert [item.id for item in passed] == [told[0].id]
    assert client.evals.runs.output_items.retrieve(told[1].id, eval_id=made.id, run_id=run.id).id == told[1].id
    assert [each.id for each in client.evals.runs.list(made.id)] == [run.id]
    assert made.id in [each.id for each in client.evals.list()]
    assert client.evals.update(made.id, name="renamed").name == "renamed"
    assert client.evals.runs.delete(run.id, eval_id=made.id).deleted
    assert client.evals.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.evals.retrieve(made.id)


def test_samples_of_a_file_are_graded_without_a_model(client: OpenAI) -> None:
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=[WORDS])
    rows = [{"item": {}, "sample": {"output_text": TEXT}}, {"item": {}, "sample": {"output_text": "No."}}]
    lines = "".join(json.dumps(each) + "\n" for each in rows).encode()
    file = client.files.create(file=("samples.jsonl", lines), purpose="evals")
    source: Any = {"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
    run = ended(client, made.id, client.evals.runs.create(made.id, data_source=source).id)
    assert run.result_counts.model_dump() == {"total": 2, "passed": 1, "failed": 1, "errored": 0}
    assert run.per_model_usage == []


def test_a_question_that_is_not_answered_is_an_error_and_no_fail(client: OpenAI) -> None:
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
    items = [{"wish": "fail", "tool": "x"}, {"tool": "no wish"}, {"wish": "call", "tool": "get_weather"}]
    run = ended(client, made.id, client.evals.runs.create(made.id, data_source=completions(items)).id)
    assert run.result_counts.model_dump() == {"total": 3, "passed": 1, "failed": 0, "errored": 2}
    told = client.evals.runs.output_items.list(run.id, eval_id=made.id).data
    assert told[0].sample.error and told[0].sample.error.message == "max_tokens is too large"
    assert told[1].sample.error and told[1].sample.error.code == "invalid_template"


def test_a_run_is_cancelled_by_the_sdks_and_the_specifications_address(client: OpenAI, planted: str) -> None:
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
    items = [{"wish": "call", "tool": "get_weather"}] * 400
    first = client.evals.runs.create(made.id, data_source=completions(items))
    assert client.evals.runs.cancel(first.id, eval_id=made.id).status == "canceled"
    second = client.evals.runs.create(made.id, data_source=completions(items))
    told: Any = client.post(f"/evals/{made.id}/runs/{second.id}", cast_to=object)
    assert told["status"] == "canceled"
    with pytest.raises(openai.BadRequestError) as error:
        client.evals.runs.cancel(first.id, eval_id=made.id)
    assert error.value.code == "invalid_run_state"


REFUSED = {
    "grader": ({"testing_criteria": [NAME | {"type": "python"}]}, "testing_criteria.0", "invalid_value"),
    "template": ({"testing_criteria": [NAME | {"input": "{{item.a()}}"}]}, "testing_criteria.0", "invalid_value"),
    "no criteria": ({"testing_criteria": []}, "testing_criteria", "invalid_value"),
    "responses": ({"data_source_config": {"type": "responses"}}, "data_source_config.type", "not_supported_locally"),
    "log filters": ({"data_source_config": {"type": "logs", "metadata": {"a": 1}}}, "metadata.a", "invalid_value"),
    "unknown": ({"extra_body": {"owner": "x"}}, "owner", "unknown_parameter"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_evals_that_cannot_be_run_here_are_refused(client: OpenAI, name: str) -> None:
    change, param, code = REFUSED[name]
    with pytest.raises(openai.BadRequestError) as error:
        client.evals.create(**{"data_source_config": CONFIG, "testing_criteria": [NAME], **change})
    assert (error.value.param, error.value.code) == (param, code)


def test_sources_that_cannot_be_run_here_are_refused(client: OpenAI) -> None:
    made = client.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
    sources: list[Any] = [
        {"type": "responses"}, {"type": "jsonl", "source": {"type": "file_content", "content": []}},
        completions([{}], input_messages={"type": "item_reference", "item_reference": "os.environ"}),
        completions([{}], model=None), completions([{}], input_messages=None), completions([{}], source="stored"),
        {"type": "completions", "source": {"type": "stored_completions", "limit": 0}},
        {"type": "completions", "source": {"type": "stored_completions"}, "sampling_params": {"seed": 1}},
        {"type": "jsonl", "source": {"type": "stored_completions"}},
    ]  # fmt: skip
    for source in sources:
        with pytest.raises(openai.BadRequestError):
            client.evals.runs.create(made.id, data_source=source)
    missing: Any = {"type": "jsonl", "source": {"type": "file_id", "id": "file-none"}}
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.create(made.id, data_source=missing)


def test_a_run_goes_on_after_its_api_was_killed(planted: str, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, engines={BASE: f"{planted}/v1"}, lease_s=9)
    server = start_server(settings, "--no-worker")
    try:
        client = server.client()
        made = client.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
        items = [{"wish": "call", "tool": "get_weather"}] * 100
        run_id = client.evals.runs.create(made.id, data_source=completions(items)).id
        while not client.evals.runs.retrieve(run_id, eval_id=made.id).result_counts.total:
            time.sleep(0.01)
    finally:
        server.process.kill()
        server.process.wait()
    killed_at = time.monotonic()
    with api_server(settings, "--no-worker") as again:
        run = ended(again.client(), made.id, run_id)
        assert time.monotonic() - killed_at < 30  # a third of a lease, and the start of the API
        assert run.result_counts.model_dump() == {"total": 100, "passed": 100, "failed": 0, "errored": 0}
