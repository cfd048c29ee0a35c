"""Calls written as text in ShareGPT and in tagged messages, and every doubt that is refused there."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.row import JsonObject
from tests.data.layout_records import CALLED, PING_BARE, PING_CALL, refusal_of, row_of, said, sharegpt
from tests.data.rows import PING, says, user
from tests.data.story import of_row

QWEN_SYSTEM = (
    "Be brief.\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n"
    f"<tools>\n{json.dumps(PING)}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def test_text_and_parallel_calls_side_by_side_are_one_turn(tmp_path: Path) -> None:
    two = json.dumps([json.loads(PING_CALL), {"name": "ping", "arguments": '{"host": "b"}'}])
    record = sharegpt(
        said("human", "Ping"), said("gpt", "I will."), said("function_call", two), said("observation", "1"),
        said("tool", "2"), said("gpt", "Done."), system="Be brief.",
    )  # fmt: skip
    row = row_of(tmp_path, record, "sharegpt")
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert of_row(row) == [
        ("system", "Be brief."), ("user", "Ping"), ("assistant", "I will."), CALLED, ("call", "ping", {"host": "b"}),
        ("result", "1"), ("result", "2"), ("assistant", "Done."),
    ]  # fmt: skip


def test_qwen_text_becomes_calls_and_its_explanation_goes(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": QWEN_SYSTEM}, user("Ping a"),
        says(f"Wait.\n<tool_call>\n{PING_CALL}\n</tool_call>\n<tool_call>\n{PING_CALL}\n</tool_call>"),
        user("<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>"), says("Done."),
    ]  # fmt: skip
    row = row_of(tmp_path, {"messages": messages}, "hermes")
    assert row["tools"] == [PING]
    assert of_row(row) == [
        ("system", "Be brief."), ("user", "Ping a"), ("assistant", "Wait."), CALLED, CALLED, ("result", "1"),
        ("result", "2"), ("assistant", "Done."),
    ]  # fmt: skip


def test_a_tool_message_without_tags_is_a_result(tmp_path: Path) -> None:
    messages = [user("Ping a"), says(f"<tool_call>{PING_CALL}</tool_call>"), {"role": "tool", "content": " ok "}]
    row = row_of(tmp_path, {"messages": messages, "tools": json.dumps([PING])}, "hermes")
    assert of_row(row) == [("user", "Ping a"), CALLED, ("result", " ok ")]


def hermes(answer: str, system: str = f"Hm. <tools>{json.dumps([PING])}</tools>", **keys: Any) -> JsonObject:
    return {"conversations": [said("system", system), said("human", "Hi"), said("gpt", answer)]} | keys


def test_hermes_text_that_no_sentence_explains_stays(tmp_path: Path) -> None:
    row = row_of(tmp_path, hermes("<tool_call>{'name': 'ping', 'arguments': {'host': 'it\\'s'}}</tool_call>"), "hermes")
    assert of_row(row) == [("system", "Hm."), ("user", "Hi"), ("call", "ping", {"host": "it's"})]


TEXT_FAULTS: dict[str, tuple[JsonObject, tuple[str, str]]] = {
    "fewer results than calls": (
        sharegpt(said("human", "Hi"), said("function_call", f"[{PING_CALL}, {PING_CALL}]"), said("observation", "1"),
                 said("gpt", "Done.")),
        ("results", "a turn has 2 calls and 1 results"),
    ),
    "a result too many": (
        sharegpt(said("human", "Hi"), said("function_call", PING_CALL), said("observation", "1"), said("tool", "2")),
        ("results", "a result answers no call"),
    ),
    "a call without a result before the next message": (
        sharegpt(said("human", "Hi"), said("function_call", PING_CALL), said("human", "And?"), said("gpt", "Done.")),
        ("results", "a turn has 1 call and 0 results"),
    ),
    "a call that is no JSON": (
        sharegpt(said("human", "Hi"), said("function_call", "ping(a)")),
        ("unreadable", "a call is neither JSON (Expecting value: line 1 column 1 (char 0)) nor a Python literal "
         "(ping(a) is no value that JSON has)"),
    ),
    "a key twice": (
        sharegpt(said("human", "Hi"), said("function_call", "{'name': 'ping', 'name': 'pong', 'arguments': {}}")),
        ("unreadable", "nor a Python literal (key 'name' comes twice in one object)"),
    ),
    "two strings side by side": (
        sharegpt(said("human", "Hi"), said("function_call", "{'name': 'ping', 'arguments': {'host': 'a' 'b'}}")),
        ("unreadable", "nor a Python literal (two strings side by side)"),
    ),
    "a tuple": (
        sharegpt(said("human", "Hi"), said("function_call", "{'name': 'ping', 'arguments': {'host': (1, 2)}}")),
        ("unreadable", "nor a Python literal ((1, 2) is no value that JSON has)"),
    ),
    "code": (
        hermes("<tool_call>{'name': __import__('os').name, 'arguments': {}}</tool_call>"),
        ("unreadable", "nor a Python literal (__import__('os').name is no value that JSON has)"),
    ),
    "text behind a call": (
        hermes(f"<tool_call>{PING_CALL}</tool_call> So."), ("order", "text stands behind a call: 'So.'"),
    ),
    "a call that is not closed": (
        hermes(f"<tool_call>{PING_CALL}"), ("order", "text stands behind a call: '<tool_call>"),
    ),
    "two tool lists": (
        hermes("Hello.", tools=json.dumps([PING_BARE | {"description": "Other."}])),
        ("tools", "the system text lists other tools than the tools column"),
    ),
    "an unknown key of a call": (
        hermes('<tool_call>{"name": "ping", "arguments": {}, "when": "now"}</tool_call>'),
        ("call", "key 'when' of a call is not known"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("record", "expected"), TEXT_FAULTS.values(), ids=TEXT_FAULTS)
def test_text_that_leaves_a_doubt_is_refused(tmp_path: Path, record: JsonObject, expected: tuple[str, str]) -> None:
    cause, what = refusal_of(tmp_path, record)
    assert cause == expected[0] and expected[1] in what, what
