"""The Responses API before a server whose answers are planted: passed on exactly, never stored."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.serve.api_server import BASE, ApiServer, api_server, write_settings
from tests.serve.planted_vllm import ARGUMENTS

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = write_settings(
        tmp_path_factory.mktemp("responses"), engines={BASE: f"{planted}/v1"}, capture={"store": "always"},
        upstream={"base_url": f"{planted}/v1", "api_key_variable": None},
    )  # fmt: skip
    with api_server(settings, "--no-worker") as server:
        yield server


def body(asked: Any = "Weather?", **options: Any) -> dict[str, Any]:
    return {"model": BASE, "input": asked, "tools": [TOOL], **options}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_passes_byte_for_byte(api: ApiServer, planted: str, stream: bool) -> None:
    direct = httpx.post(f"{planted}/v1/responses", json=body(stream=stream))
    passed = httpx.post(f"{api.base_url}/responses", json=body(stream=stream))
    assert passed.content == direct.content and passed.status_code == 200
    assert passed.headers["content-type"] == direct.headers["content-type"]


@pytest.mark.parametrize("model", [BASE, "provider-model"])
def test_the_sdk_reads_its_calls_at_once_and_streamed(api: ApiServer, planted: str, model: str) -> None:
    client = api.client()
    request = body(
        [{"role": "user", "content": "Weather?"}], instructions="Be brief.", metadata={"a": "b"}, model=model
    )
    (call,) = client.responses.create(**request).output
    assert call.arguments == ARGUMENTS
    asked = httpx.get(f"{planted}/asked").json()["body"]
    assert asked == request | ({"store": False} if model == BASE else {})
    *_, last = client.responses.create(**request, stream=True)
    assert last.type == "response.completed" and last.response.output[0].arguments == ARGUMENTS


def test_nothing_is_stored_and_that_is_counted(api: ApiServer) -> None:
    def counted() -> float:
        text = httpx.get(api.base_url.removesuffix("/v1") + "/metrics").text
        line = next((each for each in text.splitlines() if 'completions_total{reason="responses"}' in each), "x 0")
        return float(line.split()[-1])

    before, stored = counted(), len(api.client().chat.completions.list().data)
    httpx.post(f"{api.base_url}/responses", json=body(store=True))
    assert counted() == before + 1
    assert len(api.client().chat.completions.list().data) == stored


def test_a_stream_that_breaks_off_ends_with_an_error(api: ApiServer) -> None:
    text = httpx.post(f"{api.base_url}/responses", json=body("cut", stream=True)).text
    last = text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_unavailable"


REFUSED: dict[str, tuple[Any, str, str]] = {
    "no input": ({"model": BASE}, "input", "missing_required_parameter"),
    "no model": ({"input": "x"}, "model", "missing_required_parameter"),
    "empty": (body([]), "input", "invalid_value"),
    "a number": (body(3), "input", "invalid_value"),
    "a model that is none": (body(model=[]), "model", "invalid_value"),
    "stream": (body(stream="yes"), "stream", "invalid_value"),
    "a conversation": (body(previous_response_id="resp_1"), "previous_response_id", "not_supported_locally"),
    "background": (body(background=True), "background", "not_supported_locally"),
    "a hosted tool": (body(tools=[{"type": "web_search"}]), "tools.0.type", "not_supported_locally"),
    "what vllm refuses": (body("fail"), "input", "invalid_value"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_told(api: ApiServer, name: str) -> None:
    request, param, code = REFUSED[name]
    answer = httpx.post(f"{api.base_url}/responses", json=request)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)


def test_a_stored_response_cannot_be_asked_for(api: ApiServer) -> None:
    with pytest.raises(BadRequestError, match="not supported"):
        api.client().responses.retrieve("resp_1")


def test_a_model_that_nobody_has(planted: str, tmp_path: Any) -> None:
    with api_server(write_settings(tmp_path, engines={BASE: f"{planted}/v1"}), "--no-worker") as server:
        client: OpenAI = server.client()
        with pytest.raises(NotFoundError) as refused:
            client.responses.create(model="gone", input="x")
        assert refused.value.code == "model_not_found"
