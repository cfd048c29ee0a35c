"""OpenAI chat rows as people bring them, and stored completions."""

import json
from pathlib import Path

import pytest

from data.row import JsonObject
from tests.data.layout_records import PING_BARE, outcomes, refusal_of, row_of
from tests.data.rows import GOOD, PING, ping, raw, result, says, user

SYSTEM = {"role": "system", "content": "Be brief."}


def test_an_openai_row_stays_as_it_is(tmp_path: Path) -> None:
    weighted = raw(SYSTEM, user([{"type": "text", "text": "Ping a"}]), says(None, ping(), weight=0), result("ok"),
                   says("Done."), parallel_tool_calls=False)  # fmt: skip
    assert row_of(tmp_path, GOOD, "openai") == GOOD
    assert row_of(tmp_path, weighted, "openai") == weighted


def test_object_arguments_become_text_and_sdk_fields_go(tmp_path: Path) -> None:
    dumped = says(None, ping({"host": "é", "n": 1}) | {"index": 0}, refusal=None, annotations=[], audio=None,
                  function_call=None)  # fmt: skip
    row = row_of(tmp_path, raw(user("Hi"), dumped, result("ok"), says("Done.", tool_calls=[])), "openai")
    assert row["messages"][1]["tool_calls"] == [ping('{"host": "é", "n": 1}')]
    assert "tool_calls" not in row["messages"][3]


def test_deprecated_functions_become_tools(tmp_path: Path) -> None:
    record = {
        "functions": [PING_BARE],
        "messages": [
            user("Ping a"), says(None, function_call={"name": "ping", "arguments": '{"host": "a"}'}),
            {"role": "function", "name": "ping", "content": "ok"}, says("Done."),
        ],
    }  # fmt: skip
    row = row_of(tmp_path, record, "openai")
    assert row["tools"] == [PING]
    assert row["messages"][1]["tool_calls"] == [ping(call_id="call_2")]
    assert row["messages"][2] == {"role": "tool", "name": "ping", "content": "ok", "tool_call_id": "call_2"}


def test_calls_without_ids_are_paired_in_order(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "ping", "arguments": {"host": "a"}}}
    messages = [
        user("Ping"),
        says(None, call, call),
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    row = row_of(tmp_path, raw(*messages, says("Done.")), "openai")
    assert [m.get("tool_call_id") for m in row["messages"]] == [None, None, "call_1", "call_2", None]


def test_reasoning_is_left_out_and_counted(tmp_path: Path) -> None:
    _, (outcome,) = outcomes(tmp_path, raw(user("Hi"), says("Hello.", reasoning_content="Hm.")) | {"id": 7})
    assert json.loads(outcome.line)["messages"][1] == says("Hello.")
    assert outcome.notes == {"reasoning left out": 1, "key 'id' left out": 1}


OPENAI_FAULTS: dict[str, tuple[JsonObject, tuple[str, str]]] = {
    "functions and tools": (
        GOOD | {"functions": [PING_BARE]}, ("tools", "functions and tools cannot be mixed"),
    ),
    "an image": (
        raw(user([{"type": "image_url", "image_url": {"url": "x"}}]), says("Nice.")),
        ("form", 'message 1, key "content[0].type": image_url parts are not supported'),
    ),
    "a result that answers nothing": (
        raw(user("Hi"), {"role": "tool", "content": "ok"}, says("Done.")),
        ("results", "a result without tool_call_id answers no call"),
    ),
    "the wrong function's result": (
        raw(user("Hi"), says(None, function_call={"name": "ping", "arguments": "{}"}),
            {"role": "function", "name": "pong", "content": "ok"}, says("Done.")),
        ("results", "message 3: answers 'pong', but the call before it is to 'ping'"),
    ),
    "a call in both layouts": (
        raw(user("Hi"), says(None, ping(), function_call={"name": "ping", "arguments": "{}"}), result("ok")),
        ("results", "functions and tools cannot be mixed"),
    ),
    "arguments that are no object": (
        raw(user("Hi"), says(None, ping("[1]"))),
        ("arguments", 'key "tool_calls[0].function.arguments": arguments is not a JSON object: it is an array'),
    ),
    "an unknown key": (
        raw(user("Hi"), says("Hello.", wieght=0)),
        ("extra_key", 'the row it makes breaks a rule: message 2, key "wieght": Extra inputs are not permitted'),
    ),
    "no tools": (
        raw(user("Hi"), says(None, ping()), tools=[]),
        ("missing_tools", "the row it makes breaks a rule: key \"tools\": the row has tool calls but no tools"),
    ),
    "a tool name with dots": (
        raw(user("Hi"), says(None, ping(name="net.ping"))),
        ("tool_name", "the tool name 'net.ping' is not 1 to 64 letters, digits, _ and -"),
    ),
    "a custom tool": (
        raw(user("Hi"), says("Hello."), tools=[{"type": "custom", "custom": {"name": "x"}}]),
        ("tools", "a tool has the type 'custom'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("record", "expected"), OPENAI_FAULTS.values(), ids=OPENAI_FAULTS)
def test_an_openai_record_is_refused(tmp_path: Path, record: JsonObject, expected: tuple[str, str]) -> None:
    cause, what = refusal_of(tmp_path, record)
    assert cause == expected[0] and expected[1] in what, what


def test_given_tools_fill_only_a_missing_list(tmp_path: Path) -> None:
    call = {"messages": [user("Hi"), says(None, ping())]}
    listed = {"messages": [user("Hi"), says("Hello.")], "tools": []}
    _, (filled, empty) = outcomes(tmp_path, call, listed, tools=[PING])
    assert json.loads(filled.line)["tools"] == [PING]
    assert "tools" not in json.loads(empty.line)


CHOICE = {"index": 0, "finish_reason": "tool_calls", "logprobs": None, "message": says(None, ping(), refusal=None)}
REQUEST = {"model": "m", "messages": [user("Ping a")], "tools": [PING], "parallel_tool_calls": False, "store": True}


def test_a_request_and_its_response_make_a_row(tmp_path: Path) -> None:
    expected = raw(user("Ping a"), says(None, ping()), parallel_tool_calls=False)
    response = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [CHOICE], "usage": {"total_tokens": 9}}
    for record in (
        {"request": REQUEST, "response": response},
        {"request": json.dumps(REQUEST), "response": json.dumps(response)},
        {"request": {"body": REQUEST}, "response": {"status_code": 200, "body": response}},
        response | REQUEST,
    ):
        assert row_of(tmp_path, record, "stored_completion") == expected


def test_a_page_of_stored_completions_holds_many_rows(tmp_path: Path) -> None:
    one = {"object": "chat.completion", "choices": [CHOICE]} | REQUEST
    stored = [{"id": "chatcmpl-1-0", "role": "user", "content": "Ping a", "content_parts": None}]
    page = {
        "object": "list",
        "data": [one, one | {"messages": stored}, {"object": "chat.completion", "choices": [CHOICE]}],
    }
    layout, (first, second, third) = outcomes(tmp_path, page)
    assert (layout, first.line) == ("stored_completion", second.line)
    assert (third.where, third.cause) == (f"{tmp_path}/in.jsonl:1: part 3", "form")
    assert first.notes == {"key 'model' left out": 1, "key 'store' left out": 1}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ([CHOICE, CHOICE], ("alternatives", "the response has 2 choices, a row has one answer")),
        ([CHOICE | {"finish_reason": "length"}], ("cut_off", "the answer ended for length")),
        (None, ("form", "choices is missing, not a list")),
    ],
)
def test_a_completion_without_one_whole_answer_is_refused(
    tmp_path: Path, choices: object, expected: tuple[str, str]
) -> None:
    assert refusal_of(tmp_path, {"request": REQUEST, "response": {"choices": choices}}) == expected
