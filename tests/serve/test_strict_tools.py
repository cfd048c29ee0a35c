"""Strict functions on their way to a model that never learnt null, and its calls on their way back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.row import JsonObject
from serve.strict_tools import FORMS, RELAX_VARIABLE, StrictTools, relax_body
from tests.serve.strict_parts import BARE, FULL, PARAMETERS, SEEN, Server, call, item, request, through, tool


def anyone(_: Any) -> bool:
    return True


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


def test_the_responses_api_has_the_same(relaxing: None) -> None:
    flat = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
    history = [{"role": "user", "content": "x"}, item(FULL), item(FULL, "other"), {"type": "function_call_output"}]
    server = Server({"output": [{"type": "message"}, item(BARE)], "tools": [flat | {"parameters": SEEN}]})
    body = json.dumps({"model": "tuned", "input": history, "tools": [flat, {"type": "web_search"}]}).encode()
    given = json.loads(through(StrictTools(server), body, "/v1/responses")[1])
    asked = json.loads(server.asked)
    assert asked["tools"] == [flat | {"parameters": SEEN}, {"type": "web_search"}]
    assert asked["input"] == [history[0], item(BARE), item(FULL, "other"), history[3]]
    assert given == {"output": [{"type": "message"}, item(FULL)], "tools": [flat]}


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
    for form in FORMS.values():
        asked, schemas = relax_body(sent, anyone, form)
        assert asked == sent or schemas
