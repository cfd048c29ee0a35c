"""Strict functions on their way to a model that never learnt null, and its calls on their way back."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.row import JsonObject
from serve.chat.stream_assembly import StreamAssembly
from serve.strict_tools import RELAX_VARIABLE, CallStream, Message, StrictTools, relax_request

PARAMETERS: JsonObject = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
SEEN = PARAMETERS | {"properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}
CHAT = "/v1/chat/completions"
BARE, FULL = '{"city": "Zürich"}', '{"city": "Zürich", "unit": null}'


def tool(name: str = "weather", **function: Any) -> JsonObject:
    return {"type": "function", "function": {"name": name, "parameters": PARAMETERS, "strict": True} | function}


def call(arguments: Any, name: str = "weather", **more: Any) -> JsonObject:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def request(*tools: JsonObject, **more: Any) -> bytes:
    return json.dumps({"model": "tuned", "messages": [], "tools": list(tools) or [tool()]} | more).encode()


def anyone(_: Any) -> bool:
    return True


class Server:
    """What stands behind the middleware: it keeps what it is asked, and gives a planted answer in pieces."""

    def __init__(self, answer: Any = None, pieces: Iterable[bytes] | None = None, status: int = 200) -> None:
        self.kind = b"text/event-stream" if pieces else b"application/json"
        self.pieces = list(pieces or [json.dumps(answer).encode()])
        self.status = status
        self.asked = b""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.asked += message["body"]
            if not message["more_body"]:
                break
        length = (
            [] if self.kind == b"text/event-stream" else [(b"content-length", str(sum(map(len, self.pieces))).encode())]
        )
        headers = [(b"content-type", self.kind), *length]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def through(
    middleware: StrictTools, body: bytes, path: str = "/v1/chat/completions"
) -> tuple[dict[bytes, bytes], bytes]:
    """Headers and body of the answer; the request comes in two pieces."""
    incoming = [
        {"type": "http.request", "body": body[:7], "more_body": True},
        {"type": "http.request", "body": body[7:], "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(middleware({"type": "http", "method": "POST", "path": path}, receive, send))
    assert sent[0]["type"] == "http.response.start" and not sent[-1].get("more_body")
    return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])


@pytest.fixture
def relaxing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAX_VARIABLE, "1")


def test_the_model_sees_optional_arguments_and_the_client_gets_nulls(relaxing: None) -> None:
    history = [{"role": "assistant", "tool_calls": [call(FULL), call(FULL, "other")]}]
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [call(BARE)]}}],
        "usage": {"n": 1},
    }
    server = Server(answer)
    headers, body = through(StrictTools(server), request(messages=history))
    asked = json.loads(server.asked)
    assert asked["tools"] == [tool(parameters=SEEN)]
    assert [each["function"]["arguments"] for each in asked["messages"][0]["tool_calls"]] == [BARE, FULL]
    given = json.loads(body)
    assert given["choices"][0]["message"]["tool_calls"] == [call(FULL)] and given["usage"] == {"n": 1}
    assert headers[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(
    "body",
    [
        request(tool(strict=False)),
        request(tool(strict=None)),
        request(tool(parameters=SEEN)),  # strict, and nothing may be left out
        request(tool(parameters=None)),
        b'{"model": "tuned", "tools": [{"function": {"strict": true',
        b'{"model": 3, "tools": "strict"}',
        b'["strict"]',
        b"",
    ],
)
def test_what_is_not_concerned_goes_through_byte_for_byte(body: bytes, relaxing: None) -> None:
    answer = {"choices": [{"message": {"tool_calls": [call(BARE)]}}]}
    server = Server(answer)
    headers, given = through(StrictTools(server), body)
    assert server.asked == body and given == server.pieces[0]
    assert headers[b"content-length"] == str(len(given)).encode()


def test_other_paths_and_an_error_go_through(relaxing: None) -> None:
    server = Server({"x": 1})
    through(StrictTools(server), request(), "/v1/completions")
    assert server.asked == request()
    error = {"error": {"message": "no"}}
    assert json.loads(through(StrictTools(Server(error, status=400)), request())[1]) == error


def test_calls_that_are_no_json_or_of_other_functions_stay(relaxing: None) -> None:
    cut = '{"city": "Zür'
    calls = [call(cut), call(BARE, "other"), call(FULL), call({"city": "x"})]
    answer = {"choices": [{"message": {"tool_calls": calls}}, {"message": {"content": "text"}}]}
    given = json.loads(through(StrictTools(Server(answer)), request())[1])["choices"]
    arguments = [each["function"]["arguments"] for each in given[0]["message"]["tool_calls"]]
    assert arguments == [cut, BARE, FULL, {"city": "x", "unit": None}]
    assert given[1] == {"message": {"content": "text"}}


def test_a_base_is_asked_as_the_client_asks_and_each_adapter_as_it_was_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RELAX_VARIABLE, "0")
    server = Server({})
    middleware = StrictTools(server)
    for name, training in (("plain", {}), ("taught", {"writes_nulls": True}), ("other's", None)):
        folder = tmp_path / name
        folder.mkdir()
        if training is not None:
            (folder / "training.json").write_text(json.dumps(training))
        load = json.dumps({"lora_name": name, "lora_path": str(folder)}).encode()
        server.asked = b""
        through(middleware, load, "/v1/load_lora_adapter")
        assert server.asked == load
    for model, is_relaxed in (("base", False), ("plain", True), ("taught", False), ("other's", False)):
        server.asked = b""
        through(middleware, request(model=model))
        assert (json.loads(server.asked)["tools"] == [tool(parameters=SEEN)]) == is_relaxed, model


def chunk(choice: JsonObject, **more: Any) -> bytes:
    head = {"id": "x", "object": "chat.completion.chunk", "usage": None}
    whole = head | {"choices": [{"index": 0, "finish_reason": None, "delta": {}} | choice]} | more
    return b"data: " + json.dumps(whole, ensure_ascii=False).encode() + b"\n\n"


def begins(number: int, name: str, **more: Any) -> bytes:
    return chunk({"delta": {"tool_calls": [call("", name, index=number)]}} | more)


def goes_on(number: int, text: str, **more: Any) -> bytes:
    return chunk({"delta": {"tool_calls": [{"index": number, "function": {"arguments": text}}]}} | more)


ROLE, DONE = chunk({"delta": {"role": "assistant", "content": ""}}), b"data: [DONE]\n\n"
END = chunk({"finish_reason": "tool_calls"})
USAGE = b'data: {"id": "x", "choices": [], "usage": {"total_tokens": 3}}\n\n'
WHOLE = '{"city":"x","unit":"C"}'
STREAMS = {
    "one": ([ROLE, begins(0, "weather"), goes_on(0, BARE[:5]), goes_on(0, BARE[5:]), END, USAGE, DONE], [FULL]),
    "last words with the end": ([begins(0, "weather"), goes_on(0, BARE, finish_reason="tool_calls"), DONE], [FULL]),
    "parallel": (
        [
            *(begins(0, "weather"), goes_on(0, BARE), begins(1, "other"), goes_on(1, "{}"), begins(2, "weather")),
            *(goes_on(2, BARE), END, DONE),
        ],
        [FULL, "{}", FULL],
    ),
    "nothing is missing": (
        [begins(0, "weather"), goes_on(0, '{"city":"x","unit":"C"}'), END, DONE],
        ['{"city":"x","unit":"C"}'],
    ),
    "cut off": ([begins(0, "weather"), goes_on(0, '{"ci'), chunk({"finish_reason": "length"}), DONE], ['{"ci']),
    "another's": ([begins(0, "other"), goes_on(0, BARE[:5]), goes_on(0, BARE[5:]), END, DONE], [BARE]),
}


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_has_the_nulls_too_however_it_comes_in_pieces(name: str, size: int, relaxing: None) -> None:
    events, expected = STREAMS[name]
    whole = b"".join(events)
    server = Server(pieces=[whole[at : at + size] for at in range(0, len(whole), size)])
    given = through(StrictTools(server), request(tool(), tool("other", strict=False)))[1]
    before, after = assembled(whole), assembled(given)
    calls = after["choices"][0]["message"].pop("tool_calls")
    assert [each["function"]["arguments"] for each in calls] == expected
    names = [each["function"]["name"] for each in calls]
    assert names == [each["function"]["name"] for each in before["choices"][0]["message"].pop("tool_calls")]
    assert after == before
    assert given.endswith(DONE)


def test_two_answers_at_once_do_not_mix() -> None:
    stream = CallStream({"weather": PARAMETERS})
    events = [begins(0, "weather", index=0), begins(0, "weather", index=1)]
    events += [goes_on(0, '{"city": "a"}', index=0), goes_on(0, '{"city": "b"}', index=1)]
    events += [chunk({"finish_reason": "tool_calls", "index": number}) for number in (1, 0)] + [DONE]
    choices = assembled(b"".join(map(stream.add, events)))["choices"]
    arguments = [each["message"]["tool_calls"][0]["function"]["arguments"] for each in choices]
    assert arguments == ['{"city": "a", "unit": null}', '{"city": "b", "unit": null}']


def test_what_is_no_call_is_passed_on_at_once_and_as_it_is() -> None:
    stream = CallStream({"weather": PARAMETERS})
    text = chunk({"delta": {"content": "Grüezi"}})
    assert [stream.add(piece) for piece in (text[:9], text[9:] + text, b": keep-alive\n\n", DONE)] == [
        *(b"", text + text, b": keep-alive\n\n", DONE)
    ]
    error = b'data: {"error": {"message": "gone"}}\n\n'
    assert stream.add(error) == error


def test_arguments_that_wait_do_not_take_figures_with_them() -> None:
    stream = CallStream({"weather": PARAMETERS})
    stream.add(begins(0, "weather"))
    assert stream.add(goes_on(0, "{")) == b""
    told = json.loads(stream.add(goes_on(0, "}", token_ids=[3])).removeprefix(b"data: "))
    assert told["choices"][0]["token_ids"] == [3] and told["choices"][0]["delta"]["tool_calls"] == []


def assembled(stream: bytes) -> Any:
    assembly = StreamAssembly()
    assembly.add(stream)
    completion = assembly.completion()
    assert completion
    return completion


KEYS = ["tools", "function", "name", "parameters", "strict", "messages", "tool_calls", "arguments"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["strict", "weather", "{}", '{"unit": null}']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["tools", "function", "name", "parameters", "strict", "messages", "tool_calls", "arguments"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["tools", "messages"]), json_values | st.lists(st.just(tool()), max_size=2)))
def test_whatever_a_client_sends_is_passed_on(body: JsonObject) -> None:
    sent = json.dumps(body | {"model": "x"}).encode()
    asked, schemas = relax_request(sent, anyone)
    assert asked == sent or schemas
