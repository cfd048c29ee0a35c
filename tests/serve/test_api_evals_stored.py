"""Evals on stored completions, as OpenAI's guides monitor prompts with them; and what webhooks are told of runs."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from serve.evals.request import StoredSource
from serve.evals.stored import stored_rows
from serve.storage.database import Database
from tests.serve.api_server import BASE, ApiServer, api_server, row, running_worker, write_settings
from tests.serve.planted_vllm import TEXT, USAGE
from tests.serve.test_api_evals import NAME, WORDS, ended
from tests.serve.test_api_webhooks import SECRET, Receiver

LOGS: Any = {"type": "logs", "metadata": {"app": "router"}}
ASKED: Any = {
    "type": "string_check", "name": "asked", "input": "{{item.input[0].content}}", "reference": "call",
    "operation": "eq",
}  # fmt: skip


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        server.got.append((b"", {}))  # the first is answered with 500 elsewhere
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[ApiServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_SECRET", SECRET)
        settings = write_settings(
            tmp_path_factory.mktemp("stored"), engines={BASE: f"{planted}/v1"},
            webhook={"url": f"http://127.0.0.1:{receiver.server_port}/", "secret_variable": "HOOK_SECRET"},
        )  # fmt: skip
        with api_server(settings, "--no-worker") as server:
            yield server


@pytest.fixture(scope="module")
def stored(client: OpenAI) -> list[str]:
    """Two calls and a text of one prompt's version, a text of the other, and one of another application."""
    made = []
    for wish, app, version in (
        ("call", "router", "1"), ("text", "router", "1"), ("call", "router", "1"), ("text", "router", "2"),
        ("call", "other", "1"),
    ):  # fmt: skip
        answer = client.chat.completions.create(
            model=BASE, messages=[{"role": "user", "content": wish}], tools=row(1)["tools"], store=True,
            metadata={"app": app, "version": version},
        )  # fmt: skip
        made.append(answer.id)
    return made


def run_of(client: OpenAI, eval_id: str, source: dict[str, Any], **options: Any) -> Any:
    data: Any = {"type": "completions", "source": {"type": "stored_completions", **source}, **options}
    return ended(client, eval_id, client.evals.runs.create(eval_id, data_source=data).id)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("kind", ["logs", "stored_completions"])
def test_stored_answers_are_graded_as_they_were_given(client: OpenAI, kind: str) -> None:
    tool: Any = {**NAME, "reference": "get_weather"}
    made = client.evals.create(data_source_config={**LOGS, "type": kind}, testing_criteria=[tool, ASKED])
    told = made.data_source_config.to_dict()
    assert (told["type"], told["metadata"]) == (kind, {"app": "router"})
    assert set(told["schema"]["properties"]) == {"item", "sample"}
    run = run_of(client, made.id, {"metadata": {"version": "1"}})
    assert (run.status, run.error, run.per_model_usage) == ("completed", None, [])
    assert run.result_counts.model_dump() == {"total": 3, "passed": 2, "failed": 1, "errored": 0}
    items = client.evals.runs.output_items.list(run.id, eval_id=made.id).data
    assert [item.datasource_item["input"][0]["content"] for item in items] == ["call", "text", "call"]
    assert items[0].sample.output[0].to_dict()["tool_calls"][0]["function"]["name"] == "get_weather"
    assert items[0].sample.usage.total_tokens == USAGE["total_tokens"]
    assert run_of(client, made.id, {}).result_counts.total == 4  # the eval's own filter stays
    assert run_of(client, made.id, {"limit": 2}).result_counts.total == 2
    assert run_of(client, made.id, {"model": "other"}).result_counts.total == 0
    assert run_of(client, made.id, {"created_before": 1}).result_counts.total == 0
    assert run_of(client, made.id, {"created_after": 1}).result_counts.total == 4


@pytest.mark.usefixtures("stored")
def test_a_model_is_asked_again_what_was_asked_then_with_the_same_tools(client: OpenAI, planted: str) -> None:
    made = client.evals.create(data_source_config=LOGS, testing_criteria=[{**WORDS, "name": "as text"}])
    reference: Any = {"type": "item_reference", "item_reference": "item.input"}
    filters = {"metadata": {"version": "2"}}
    for options in ({"input_messages": reference}, {}, {"sampling_params": {"temperature": 0, "tools": None}}):
        run = run_of(client, made.id, filters, model=BASE, **options)
        assert run.result_counts.model_dump() == {"total": 1, "passed": 1, "failed": 0, "errored": 0}
        assert [usage.invocation_count for usage in run.per_model_usage] == [1]
        (item,) = client.evals.runs.output_items.list(run.id, eval_id=made.id).data
        assert (item.sample.output[0].content, item.sample.model) == (TEXT, BASE)
        asked = httpx.get(f"{planted}/asked").json()["body"]
        assert (asked["messages"], asked["tools"]) == ([{"role": "user", "content": "text"}], row(1)["tools"])


@pytest.mark.usefixtures("stored")
def test_ends_of_runs_are_told_to_the_webhook(api: ApiServer, client: OpenAI, receiver: Receiver) -> None:
    made = client.evals.create(data_source_config=LOGS, testing_criteria=[ASKED])
    good = run_of(client, made.id, {"limit": 1}).id
    file = client.files.create(file=b'{"no item": 1}', purpose="evals").id
    jsonl: Any = {"type": "jsonl", "source": {"type": "file_id", "id": file}}
    bad = ended(client, made.id, client.evals.runs.create(made.id, data_source=jsonl).id)
    assert (bad.status, bad.error.code) == ("failed", "invalid_data_source")
    many: Any = {
        "type": "completions", "model": BASE,
        "source": {"type": "file_content", "content": [{"item": {"input": "call"}}] * 400},
        "input_messages": {"type": "template", "template": [{"role": "user", "content": "{{item.input}}"}]},
    }  # fmt: skip
    gone = client.evals.runs.cancel(client.evals.runs.create(made.id, data_source=many).id, eval_id=made.id).id
    wanted = {
        ("eval.run.succeeded", good), ("eval.run.failed", bad.id), ("eval.run.canceled", gone),
    }  # fmt: skip
    deadline = time.monotonic() + 60
    told: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_SECRET", SECRET)
        with running_worker(api.settings):
            while not wanted <= set(told):
                assert time.monotonic() < deadline, told
                time.sleep(0.1)
                events: list[Any] = [
                    client.webhooks.unwrap(body.decode(), headers, secret=SECRET) for body, headers in receiver.got[1:]
                ]
                told = [(event.type, event.data.id) for event in events]
    assert all(told.count(pair) == 1 for pair in wanted)


@pytest.mark.usefixtures("stored")
def test_a_run_reads_the_completions_of_its_own_project(api: ApiServer) -> None:
    with Database(api.settings.database_url).read() as session:
        source = StoredSource(type="stored_completions")
        assert stored_rows(session, "default", source, {}) and not stored_rows(session, "elsewhere", source, {})
