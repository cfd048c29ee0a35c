"""The one form of a row, which is what vLLM's front end makes of the same request."""

from typing import Any

import pytest

from data.conversation import Call, arguments_object, calls_of, content_text, conversation
from data.row import Message
from data.user_error import UserError
from tests.data.rows import ping, result, row, says, user


def test_a_row_takes_one_form() -> None:
    talk = conversation(
        row(
            {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]},
            user("Ping a"), says(None, ping(), weight=0, annotations=[], refusal=None), result(""),
            says("Again.", ping({"host": "é"}, "c2")), result("up", "c2"), says(None, refusal="I can't."),
        )
    )  # fmt: skip
    call = {"type": "function", "function": {"name": "ping", "arguments": {"host": "a"}}}
    assert talk.messages == [
        {"role": "developer", "content": "Be\nbrief."},
        {"role": "user", "content": "Ping a"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": ""},
        {
            "role": "assistant",
            "content": "Again.",
            "tool_calls": [{"type": "function", "function": {"name": "ping", "arguments": {"host": "é"}}}],
        },
        {"role": "tool", "content": "up"},
        {"role": "assistant", "content": "I can't."},
    ]
    assert talk.is_trained == [False, False, False, False, True, False, True]


def test_tools_lose_what_no_model_reads_and_keep_their_order() -> None:
    function = {"strict": True, "parameters": {"b": 1, "a": None}, "name": "f"}
    bare = {"type": "function", "function": {"name": "g", "description": None}}
    talk = conversation(row(user("Hi"), says("Hello."), tools=[{"function": function, "type": "function"}, bare]))
    assert talk.tools == [
        {"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": None}}},
        {"type": "function", "function": {"name": "g"}},
    ]


@pytest.mark.parametrize("keys", [{}, {"tools": []}, {"tools": None}])
def test_no_tools_are_none(keys: dict[str, Any]) -> None:
    assert conversation(row(user("Hi"), says("Hello."), tools=[]).model_copy(update=keys)).tools is None


def test_an_empty_list_of_calls_disappears() -> None:
    assert conversation(row(user("Hi"), says("Hello.", tool_calls=[]))).messages[1] == {
        "role": "assistant",
        "content": "Hello.",
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        (" a\n", " a\n"),
        ([{"type": "text", "text": "a"}], "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}], "a\nb"),
    ],
)
def test_content_is_text(content: Any, text: str) -> None:
    assert content_text(Message.model_validate({"role": "user", "content": content}).content) == text


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ("", {}),
        ("{}", {}),
        ({"a": 1}, {"a": 1}),
        ('{"b": [1.50, null], "a": "\\u00e9 \\ud83c\\udf89"}', {"b": [1.5, None], "a": "é 🎉"}),
    ],
)
def test_arguments_are_an_object(arguments: Any, parsed: dict[str, Any]) -> None:
    assert arguments_object(arguments) == parsed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("null", "arguments is not a JSON object: it is null (fix: write one JSON object)"),
        ('"{}"', "arguments is not a JSON object: it is JSON text of a text (fix: JSON-encode it once, not twice)"),
        (
            '{"a": 1',
            "arguments is not a JSON object: Expecting ',' delimiter: line 1 column 8 (char 7)"
            " (fix: write one JSON object, for example {})",
        ),
        (
            '{"a": -Infinity}',
            "arguments is not a JSON object: -Infinity is no JSON value (fix: write one JSON object, for example {})",
        ),
        (
            '{"a": 1e999}',
            "arguments is not a JSON object: the number 1e999 is too large"
            " (fix: write one JSON object, for example {})",
        ),
        (
            '{"a": "\\ud83c"}',
            "arguments is not a JSON object: half a surrogate pair (\\ud800 to \\udfff) is no character"
            " (fix: write one JSON object, for example {})",
        ),
    ],
)
def test_what_is_no_object_is_refused(arguments: str, reason: str) -> None:
    with pytest.raises(UserError) as error:
        arguments_object(arguments)
    assert str(error.value) == reason


def test_calls_come_in_order_with_parsed_arguments() -> None:
    message = Message.model_validate(says(None, ping(), ping("", "c2", "pong")))
    assert calls_of(message) == [Call("ping", {"host": "a"}), Call("pong", {})]
