"""Streamed calls of strict functions, whatever pieces they come in."""

import json
from typing import Any

import pytest

from data.row import JsonObject
from serve.chat.stream_assembly import StreamAssembly
from serve.strict_calls.chat import ChatStream
from serve.strict_calls.responses import ResponsesStream
from serve.strict_tools import RELAX_VARIABLE, StrictTools
from tests.serve.strict_parts import BARE, FULL, PARAMETERS, Server, call, item, request, through, tool


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
def test_a_stream_has_the_nulls_too_however_it_comes_in_pieces(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RELAX_VARIABLE, "1")
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
    stream = ChatStream({"weather": PARAMETERS})
    events = [begins(0, "weather", index=0), begins(0, "weather", index=1)]
    events += [goes_on(0, '{"city": "a"}', index=0), goes_on(0, '{"city": "b"}', index=1)]
    events += [chunk({"finish_reason": "tool_calls", "index": number}) for number in (1, 0)] + [DONE]
    choices = assembled(b"".join(map(stream.add, events)))["choices"]
    arguments = [each["message"]["tool_calls"][0]["function"]["arguments"] for each in choices]
    assert arguments == ['{"city": "a", "unit": null}', '{"city": "b", "unit": null}']


def test_what_is_no_call_is_passed_on_at_once_and_as_it_is() -> None:
    stream = ChatStream({"weather": PARAMETERS})
    text = chunk({"delta": {"content": "Grüezi"}})
    assert [stream.add(piece) for piece in (text[:9], text[9:] + text, b": keep-alive\n\n", DONE)] == [
        *(b"", text + text, b": keep-alive\n\n", DONE)
    ]
    error = b'data: {"error": {"message": "gone"}}\n\n'
    assert stream.add(error) == error


def test_arguments_that_wait_do_not_take_figures_with_them() -> None:
    stream = ChatStream({"weather": PARAMETERS})
    stream.add(begins(0, "weather"))
    assert stream.add(goes_on(0, "{")) == b""
    told = json.loads(stream.add(goes_on(0, "}", token_ids=[3])).removeprefix(b"data: "))
    assert told["choices"][0]["token_ids"] == [3] and told["choices"][0]["delta"]["tool_calls"] == []


def event(kind: str, **data: Any) -> bytes:
    return (
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'output_index': 0} | data, ensure_ascii=False)}\n\n".encode()
    )


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_of_the_responses_api_has_the_nulls_too(size: int) -> None:
    head = event("response.created", response={"output": [], "tools": []})
    other = [
        event("response.output_item.added", item=item("", "other", id="fc_2")),
        event("response.function_call_arguments.delta", item_id="fc_2", delta=BARE),
        event("response.function_call_arguments.done", item_id="fc_2", arguments=BARE, name="other"),
        event("response.output_item.done", item=item(BARE, "other", id="fc_2")),
    ]
    added, text = event("response.output_item.added", item=item("")), event("response.output_text.delta", delta="ü")
    parts = [
        event("response.function_call_arguments.delta", item_id="fc_1", delta=part) for part in (BARE[:4], BARE[4:])
    ]
    done = event("response.function_call_arguments.done", item_id="fc_1", arguments=BARE)
    item_done = event("response.output_item.done", item=item(BARE))
    end = event("response.completed", response={"output": [item(BARE)]})
    whole = b"".join([head, text, *other, added, *parts, done, item_done, end])
    stream = ResponsesStream({"weather": PARAMETERS})
    given = b"".join(stream.add(whole[at : at + size]) for at in range(0, len(whole), size))
    assert text in given and b"".join(other) in given
    events = [json.loads(each.split(b"data: ")[1]) for each in given.split(b"\n\n") if each]
    assert [each.split(b"\n")[0] for each in given.split(b"\n\n") if each] == [
        f"event: {each['type']}".encode() for each in events
    ]
    ours = events[6:]
    assert [each["type"].removeprefix("response.") for each in ours] == [
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    assert ours[1]["delta"] == ours[2]["arguments"] == ours[3]["item"]["arguments"] == FULL
    assert ours[4]["response"]["output"] == [item(FULL)]


def assembled(stream: bytes) -> Any:
    assembly = StreamAssembly()
    assembly.add(stream)
    completion = assembly.completion()
    assert completion
    return completion
