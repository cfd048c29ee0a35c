"""Chat through the API before a server whose answers are planted: passed on exactly, stored completely."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from serve.chat.stream_assembly import FOLD_BYTES, StreamAssembly
from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import BASE, ApiServer, api_server, row, write_settings
from tests.serve.planted_vllm import CALL, TEXT, USAGE

TOOLS = row(1)["tools"]


def redactor(request: dict[str, Any], answer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """A custom one: nothing of a request that says so is kept."""
    return None if request.get("user") == "no-consent" else (request, answer)


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    capture = {"redact": {r"[\w.]+@[\w.]+": "<mail>"}, "redactor": "tests.serve.test_api_chat:redactor"}
    settings = write_settings(
        tmp_path_factory.mktemp("chat"), engines={BASE: f"{planted}/v1"}, capture=capture,
        upstream={"base_url": f"{planted}/v1", "api_key_variable": None},
    )  # fmt: skip
    with api_server(settings, "--no-worker") as server:
        yield server


def body(wish: str, **options: Any) -> dict[str, Any]:
    return {"model": BASE, "messages": [{"role": "user", "content": wish}], "tools": TOOLS, **options}


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("wish", ["call", "text"])
def test_a_stream_passes_byte_for_byte(api: ApiServer, planted: str, wish: str, store: bool) -> None:
    request = body(wish, stream=True, store=store)
    direct = httpx.post(f"{planted}/v1/chat/completions", json=request).content
    passed = httpx.post(f"{api.base_url}/chat/completions", json=request)
    assert passed.headers["content-type"].startswith("text/event-stream")
    ids = [json.loads(text[6:].split(b"\n")[0])["id"].encode() for text in (direct, passed.content)]
    assert passed.content.replace(ids[1], ids[0]) == direct


def test_what_vllm_does_not_know_is_left_out_and_the_rest_is_not(api: ApiServer, planted: str) -> None:
    extra = {"store": True, "metadata": {"a": "b"}, "service_tier": "auto", "seed": 3, "chat_template_kwargs": {"x": 1}}
    httpx.post(f"{api.base_url}/chat/completions", json=body("text", model_="x", **extra))
    asked = httpx.get(f"{planted}/asked").json()
    assert asked["body"] == body("text", model_="x", seed=3, chat_template_kwargs={"x": 1})


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_completion_comes_back_complete(api: ApiServer, stream: bool) -> None:
    client = api.client()
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": "in Graz?"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "22"},
        {"role": "user", "content": "call"},
    ]
    metadata = {"run": f"lossless {stream}", "empty": ""}
    request: Any = {"model": BASE, "messages": messages, "tools": TOOLS, "store": True, "metadata": metadata, "seed": 4}
    if stream:
        chunks = list(client.chat.completions.create(**request, stream=True))
        completion_id = chunks[0].id
    else:
        completion_id = client.chat.completions.create(**request).id
    assert [item.id for item in client.chat.completions.list(metadata=metadata)] == [completion_id]
    assert client.chat.completions.list(metadata={"run": "other"}).data == []
    stored = client.chat.completions.retrieve(completion_id)
    message = stored.choices[0].message
    assert message.tool_calls and message.tool_calls[0].model_dump(exclude_unset=True) == CALL
    assert (stored.choices[0].finish_reason, stored.usage.model_dump(exclude_unset=True)) == ("tool_calls", USAGE)  # type: ignore[union-attr]
    told = json.loads(stored.to_json())
    assert (told["metadata"], told["tools"], told["seed"], told["kept_key"] if not stream else None) == (
        metadata, TOOLS, 4, None if stream else [1, {"a": None}],
    )  # fmt: skip
    kept = list(client.chat.completions.messages.list(completion_id, limit=2))
    assert [message.id for message in kept] == [f"{completion_id}-{index}" for index in range(5)]
    assert (kept[1].content, len(kept[1].content_parts or [])) == ("Weather\nin Graz?", 2)
    assert json.loads(kept[3].to_json())["tool_call_id"] == "call_1"
    client.chat.completions.update(completion_id, metadata={"label": "good"})
    assert [item.id for item in client.chat.completions.list(metadata={"label": "good"})][-1] == completion_id
    assert client.chat.completions.delete(completion_id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion_id)


def test_stored_completions_become_training_rows(api: ApiServer, tmp_path: Path) -> None:
    client = api.client()
    for number, wish in enumerate(["call", "text", "call"]):
        stream = {"stream": True} if number else {}
        answer: Any = client.chat.completions.create(**body(wish, store=True, metadata={"for": "rows"}, **stream))
        for _ in answer if stream else ():
            pass
    dump, rows = tmp_path / "dump.jsonl", tmp_path / "rows.jsonl"
    export = ["serve.export_completions", str(api.settings_file), "--out", str(dump), "--metadata", "for=rows"]
    for command in (export, ["data.convert", str(dump), "--out", str(rows)], ["data.check", str(rows)]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    made = [json.loads(line) for line in rows.read_text().split("\n") if line]  # the text holds U+2028
    assert [made_row["tools"] for made_row in made] == [TOOLS] * 3
    assert [made_row["messages"][0] for made_row in made] == [
        {"role": "user", "content": wish} for wish in ("call", "text", "call")
    ]
    assert made[1]["messages"][1]["content"] == TEXT
    arguments = [made_row["messages"][1]["tool_calls"][0]["function"]["arguments"] for made_row in made[::2]]
    assert [json.loads(text) for text in arguments] == [{"city": "Graz ü"}] * 2


def test_only_whole_answers_with_consent_are_stored_and_redacted(api: ApiServer, tmp_path: Path) -> None:
    client = api.client()
    pair = {"metadata": {"for": "consent"}, "store": True}
    client.chat.completions.create(**body("text", user="no-consent", **pair))
    client.chat.completions.create(**body("text", **{**pair, "store": False}))
    with pytest.raises((openai.APIError, httpx.HTTPError)):
        list(client.chat.completions.create(**body("break", stream=True, **pair)))
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**body("fail", **pair))
    assert (error.value.code, error.value.param, error.value.type) == (
        "invalid_value", "max_tokens", "invalid_request_error",
    )  # fmt: skip
    assert client.chat.completions.list(metadata={"for": "consent"}).data == []
    answer = client.chat.completions.create(**body("mail bob.smith@example.org now", **pair))
    (message,) = client.chat.completions.messages.list(answer.id).data
    assert message.content == "mail <mail> now"
    assert "bob.smith" not in api.log


def test_what_was_deleted_is_on_the_disk_no_more(api: ApiServer) -> None:
    client, secret = api.client(), "Zanzibar-8152"
    kept = client.chat.completions.create(**body("Pemba-8153", store=True)).id
    gone = client.chat.completions.create(**body(secret, store=True, metadata={"for": secret})).id

    def on_disk(text: str) -> bool:
        return any(text.encode() in path.read_bytes() for path in api.settings.storage.glob("api.db*"))

    assert on_disk(secret)
    client.chat.completions.delete(gone)
    assert not on_disk(secret) and on_disk("Pemba-8153")
    assert client.chat.completions.retrieve(kept).id == kept


def test_models_that_are_not_ours_go_to_the_upstream_unchanged(api: ApiServer, planted: str) -> None:
    request = body("text", model="gpt-5", store=True, metadata={"for": "upstream"}, service_tier="flex")
    answer = httpx.post(
        f"{api.base_url}/chat/completions", json=request, headers={"Authorization": "Bearer their-key"}
    )  # fmt: skip
    assert answer.headers["x-calltune-stored"] == "true"
    asked = httpx.get(f"{planted}/asked").json()
    assert asked == {"body": request, "authorization": "Bearer their-key"}
    stored = api.client().chat.completions.list(metadata={"for": "upstream"}, model="gpt-5")
    assert [item.id for item in stored] == [answer.json()["id"]]


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"audio": {"voice": "a"}}, "audio", "not_supported_locally"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type", "not_supported_locally"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_value"),
        ({"store": "yes"}, "store", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": ["hi"]}, "messages", "invalid_value"),
    ],
)
def test_requests_that_nobody_can_answer(api: ApiServer, change: dict[str, Any], param: str, code: str) -> None:
    answer = httpx.post(f"{api.base_url}/chat/completions", json=body("text") | change)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)


def test_sigterm_lets_an_open_stream_end(planted: str, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, engines={BASE: f"{planted}/v1"})
    with api_server(settings, "--no-worker") as server:
        stream = server.client().chat.completions.create(**body("slow", stream=True, store=True))
        first = next(iter(stream))
        server.process.terminate()
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text == TEXT
        assert server.process.wait(30) == 0
        with api_server(settings, "--no-worker") as again:
            assert again.client().chat.completions.retrieve(first.id).choices[0].message.content == TEXT


def test_an_unknown_model_and_a_server_that_is_down(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port('127.0.0.1')}/v1"
    with api_server(write_settings(tmp_path, engines={BASE: nowhere}), "--no-worker") as server:
        client: OpenAI = server.client()
        with pytest.raises(openai.NotFoundError) as error:
            client.chat.completions.create(**body("text", model="ft:org/tiny:local::unknown1"))
        assert (error.value.code, error.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.InternalServerError) as down:
            client.chat.completions.create(**body("text"))
        assert (down.value.status_code, down.value.code) == (503, "model_unavailable")


def assembled(stream: bytes, size: int = 1000) -> tuple[dict[str, Any] | None, bytes]:
    """The completion, and what came before the event that ends the stream, of a stream in pieces of a size."""
    assembly, before = StreamAssembly(), b""
    for at in range(0, len(stream), size):
        piece = stream[at : at + size]
        before += piece[: assembly.add(piece)]
        assembly.fold()
        if assembly.is_done:
            break
    return assembly.completion(), before


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_is_put_together_whatever_pieces_it_comes_in(size: int, end: bytes) -> None:
    words = [f"word {number} \u2028 data: [DONE] \\n" for number in range(300)]
    told = [{"id": "a", "usage": None, "choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    events = [*told, {"id": "a", "choices": [], "usage": {"total_tokens": 3}}]
    stream = b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode() + end * 2 for event in events)
    assert len(stream) > 2 * FOLD_BYTES
    completion, before = assembled(stream + b"data: [DONE]" + end * 2, size)
    message = {"index": 0, "message": {"content": "".join(words)}}
    assert completion == {
        "id": "a", "object": "chat.completion", "usage": {"total_tokens": 3}, "choices": [message],
    }  # fmt: skip
    assert before.startswith(stream.rstrip()) and b"\ndata: [DONE]" not in before


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"id": "a", "choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n',
        b'data: {"error": {"message": "x"}}\n\ndata: [DONE]\n\n',
        b'data: {"id": "a", "choices": [{"delta": {}}]}\n\ndata: [DONE]\n\n',
        b"data: no JSON\n\ndata: [DONE]\n\n",
        b"data: [DONE]\n\n",
    ],
)
def test_a_stream_that_is_not_whole_is_no_completion(stream: bytes) -> None:
    assert assembled(stream)[0] is None
