"""What counts as a difference, without a server."""

from typing import Any

import pytest

from data.chat_request import chat_request
from data.row import Message, Row
from eval.front_end import Parsed, ParsedCall, assembled
from eval.parity_check import Tally, first_token_difference, message_difference
from tests.eval.tricky_rows import TRICKY_ROWS, call


class Letters:
    """A tokenizer of single letters."""

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


def ids(text: str) -> list[int]:
    return list(map(ord, text))


def test_a_request_is_the_row_as_an_agent_sends_it() -> None:
    row = Row.model_validate(TRICKY_ROWS["failed_call_is_context"])
    request = chat_request(row, 3)
    assert request["messages"] == [
        {"role": "user", "content": "Add dinner"},
        {"role": "assistant", "content": None, "tool_calls": [call("add_evnt", '{"titel": "x"}')]},
        {"role": "tool", "tool_call_id": "call_1", "content": "error: no such tool"},
    ]
    assert request["tools"] == TRICKY_ROWS["failed_call_is_context"]["tools"]


def test_arguments_given_as_an_object_are_sent_as_text() -> None:
    row = Row.model_validate({"messages": [{"role": "assistant", "tool_calls": [call("ping", {"é": 1})]}]})
    assert chat_request(row, 1) == {"messages": [{"role": "assistant", "tool_calls": [call("ping", '{"é": 1}')]}]}


def test_streamed_deltas_are_put_together_by_index() -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "Wa"},
        {"content": "it"},
        {"tool_calls": [{"index": 1, "function": {"name": "b"}}, {"index": 0, "function": {"name": "a"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": ": 1}"}},
                {"index": 1, "function": {"arguments": "{}"}},
            ]
        },
    ]
    assert assembled(deltas) == Parsed("Wait", [ParsedCall("a", '{"x": 1}'), ParsedCall("b", "{}")])


@pytest.mark.parametrize(
    ("text", "calls", "found"),
    [
        ("Wait", [("f", '{ "a": 1, "b": [true, null] }')], ""),
        (" Wait\n", [("f", '{"b": [true, null], "a": 1}')], ""),
        ("wait", [("f", '{"a": 1, "b": [true, null]}')], "text 'Wait' is read as 'wait'"),
        ("Wait", [], "1 calls are read as 0"),
        ("Wait", [("g", '{"a": 1, "b": [true, null]}')], 'call 1 f({"a": 1, "b": [true, null]}) is read as g('),
        ("Wait", [("f", '{"a": 1, "b": [1, null]}')], "is read as f("),
        ("Wait", [("f", '{"a": true, "b": [true, null]}')], "is read as f("),
        ("Wait", [("f", '{"a": 1, "b": [true, null]')], "is read as f("),
        ("Wait", [("f", "")], "is read as f()"),
    ],
)
def test_a_message_is_compared_by_text_names_and_arguments(text: str, calls: list[tuple[str, str]], found: str) -> None:
    message = Message.model_validate(
        {"role": "assistant", "content": "Wait", "tool_calls": [call("f", '{"a": 1, "b": [true, null]}')]}
    )
    difference = message_difference(message, Parsed(text, [ParsedCall(*each) for each in calls]))
    assert found in difference and bool(found) == bool(difference)


def test_the_first_differing_token_is_shown_with_its_surroundings() -> None:
    assert first_token_difference(ids("same"), ids("same"), Letters()) == ""
    assert first_token_difference(ids("the cat sat"), ids("the car sat"), Letters()) == (
        "token 6 differs, after 'the ca': trained 't sat' [116, 32, 115], served 'r sat' [114, 32, 115]"
    )
    assert first_token_difference(ids("the"), ids("the cat"), Letters()) == (
        "token 3 differs, after 'the': trained '' [], served ' cat' [32, 99, 97]"
    )


def test_nothing_compared_is_not_equal() -> None:
    assert not Tally().is_equal
    assert Tally(turns=1).is_equal
