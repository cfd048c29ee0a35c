"""Rows of other layouts than chat with tools: the one before tools, refusals as parts, and preference rows."""

import json
from pathlib import Path

import pytest

from data.conversation import conversation
from data.preference_row import PreferenceRow
from data.reading import parse_row, read_row_file, read_rows
from data.row import JsonObject, Row
from data.user_error import UserError
from tests.data.rows import GOOD, PING, found, good_file, ping, raw, result, says, user

CALLED = {"role": "assistant", "content": None, "function_call": {"name": "ping", "arguments": '{"host": "a"}'}}
ANSWERED = {"role": "function", "name": "ping", "content": None}
PREFERENCE = {
    "input": raw(user("Ping a"), says("Which?", weight=0), user("The first.")),
    "preferred_output": [says(None, ping())],
    "non_preferred_output": [says("No.")],
}


def parsed(raw_row: JsonObject) -> Row | PreferenceRow | None:
    return parse_row(Path("f.jsonl"), 7, json.dumps(raw_row))[0]


def test_functions_become_tools() -> None:
    legacy = {"messages": [user("Ping a"), CALLED, ANSWERED, says("Up.")], "functions": [PING["function"]]}
    row = parsed(legacy)
    assert isinstance(row, Row) and found(legacy) == []
    call = ping(call_id="call_2")
    assert row.model_dump(exclude_unset=True) == raw(
        user("Ping a"), says(None, call), result("", "call_2") | {"name": "ping"}, says("Up.")
    )


def test_functions_null_are_no_functions() -> None:
    assert found({"messages": [user("Hi"), says("Hello.")], "functions": None}) == []
    assert found(GOOD | {"functions": None}) == []


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("Hi"), CALLED, user("And?"), says("Up.")],
         'message 3, key "name": Missing tool message for tool_call_id "call_2"'
         " (fix: add the result before this message)"),
        ([user("Hi"), ANSWERED, says("Up.")], 'message 2, key "name": tool_call_id "no_call_2" does not match a'
         " preceding tool call (fix: name an unanswered call of the turn before)"),
        ([user("Hi"), CALLED | {"function_call": {"name": "ping"}}], 'message 2, key "function_call.arguments":'
         " Field required (fix: see the row format in the README)"),
        ([user("Hi"), CALLED | {"function_call": "ping"}], 'message 2, key "function_call":'
         " Input should be an object (fix: see the row format in the README)"),
    ],
)  # fmt: skip
def test_faults_of_the_older_layout_are_told_by_its_keys(messages: list[JsonObject], expected: str) -> None:
    assert found({"messages": messages, "functions": [PING["function"]]}) == [f"f.jsonl:7: {expected}"]


def test_a_refusal_part_is_what_the_assistant_says() -> None:
    row = parsed(raw(user("Hi"), says([{"type": "refusal", "refusal": "I cannot."}])))  # type: ignore[arg-type]
    assert isinstance(row, Row)
    assert conversation(row).messages[1] == {"role": "assistant", "content": "I cannot."}


def test_a_preference_row_is_two_rows_that_learn_their_last_message_alone() -> None:
    row = parsed(PREFERENCE)
    assert isinstance(row, PreferenceRow)
    for whole, answer in ((row.chosen(), says(None, ping())), (row.rejected(), says("No."))):
        assert [message.is_trained for message in whole.messages] == [False, False, False, True]
        assert whole.messages[-1].model_dump(exclude_unset=True) == answer | {"weight": None}
        assert whole.tools == row.input.tools


def test_older_names_are_read_as_todays() -> None:
    older = {"input": raw(user("Hi")), "preferred_completion": [says("A.")], "non_preferred_completion": [says("B.")]}
    row = parsed(older)
    assert isinstance(row, PreferenceRow) and row.preferred_output[0].content == "A."


def test_preference_rows_are_read_apart_and_refused_where_chat_rows_are_wanted(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", PREFERENCE)
    file = read_row_file(path)
    assert (file.rows, [numbered.line for numbered in file.preferences], file.num_lines) == ([], [1], 1)
    with pytest.raises(UserError) as error:
        read_rows(path)
    assert str(error.value) == (
        f'{path}:1: a preference row, where chat rows are wanted (fix: give rows with "messages")'
    )


def test_faults_of_an_input_and_of_an_output_are_told_apart() -> None:
    spoiled = PREFERENCE | {
        "input": raw(user("Ping a"), says(None, ping()), user("And?")),
        "preferred_output": [says(None, ping("{}"))],
    }
    assert [line.split(": ", 1)[1].split(":")[0] for line in found(spoiled)] == [
        'message 3, key "tool_call_id"',
        'key "preferred_output[0].tool_calls[0].function.arguments"',
    ]


def test_a_file_of_good_chat_rows_has_no_preferences(tmp_path: Path) -> None:
    assert read_row_file(good_file(tmp_path / "rows.jsonl", GOOD)).preferences == []
