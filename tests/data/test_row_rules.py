"""One bad row a rule, and the whole line the user reads for it."""

import pytest

from data.row import JsonObject
from tests.data.rows import GOOD, PING, found, ping, raw, result, says, user, with_tool

CALL = 'message 2, key "tool_calls[0].function'
Case = tuple[JsonObject, list[str]]


TOOL_FAULTS: dict[str, Case] = {
    "missing tools": (
        raw(user("Hi"), says(None, ping()), tools=[]),
        [
            'key "tools": the row has tool calls but no tools'
            " (fix: give every row the tools array that production sends)"
        ],
    ),
    "duplicate tool": (
        raw(user("Hi"), says("Hello."), tools=[PING, PING]),
        ["key \"tools\": tool 'ping' is listed twice (fix: list it once)"],
    ),
    "no JSON Schema": (
        raw(user("Hi"), says(None, ping()), tools=with_tool(parameters={"type": "map"})),
        [
            "key \"tools[0].function.parameters\": parameters must be a JSON Schema object: "
            "'map' is not valid under any of the given schemas"
            " (fix: mend the schema)"
        ],
    ),
    "a reference that leads nowhere": (
        raw(user("Hi"), says(None, ping()), tools=with_tool(parameters={"properties": {"host": {"$ref": "#/x"}}})),
        [
            f"{CALL}.arguments\": the schema of 'ping' cannot be used: PointerToNowhere:"
            " '/x' does not exist within {'properties': {'host': {'$ref': '#/x'}}} (fix: mend the schema)"
        ],
    ),
    "control token in a tool": (
        raw(user("Hi"), says("Hello."), tools=with_tool(description="Ends <|eot_id|>")),
        ['key "tools[0]": holds the control token <|eot_id|>, which would end or start a turn (fix: take it out)'],
    ),
}  # fmt: skip

CALL_FAULTS: dict[str, Case] = {
    "arguments that are no JSON": (
        raw(user("Hi"), says(None, ping("host=a"))),
        [
            f'{CALL}.arguments": arguments is not a JSON object: Expecting value: line 1 column 1 (char 0)'
            " (fix: write one JSON object, for example {})"
        ],
    ),
    "arguments that are no object": (
        raw(user("Hi"), says(None, ping('["a"]'))),
        [f'{CALL}.arguments": arguments is not a JSON object: it is an array (fix: write one JSON object)'],
    ),
    "an argument twice": (
        raw(user("Hi"), says(None, ping('{"host": "a", "host": "b"}'))),
        [
            f"{CALL}.arguments\": arguments is not a JSON object: key 'host' comes twice in one object"
            " (fix: write one JSON object, for example {})"
        ],
    ),
    "a wrong type": (
        raw(user("Hi"), says(None, ping('{"host": "a", "n": "2"}'))),
        [
            f"{CALL}.arguments.n\": breaks the schema of 'ping': '2' is not of type 'integer'"
            " (fix: correct the call or the schema)"
        ],
    ),
    "a required argument left out": (
        raw(user("Hi"), says(None, ping('{}'))),
        [
            f"{CALL}.arguments\": breaks the schema of 'ping': 'host' is a required property"
            " (fix: correct the call or the schema)"
        ],
    ),
    "unknown tool": (
        raw(user("Hi"), says(None, ping(name="pong"))),
        [f"{CALL}.name\": calls 'pong', which is not in tools (fix: list the tool)"],
    ),
    "parallel calls where they are off": (
        raw(user("Hi"), says(None, ping(), ping(call_id="c2")), parallel_tool_calls=False),
        [
            'message 2, key "tool_calls": parallel_tool_calls is false but message has 2 tool calls'
            " (fix: split the turn, or allow parallel calls)"
        ],
    ),
    "a parser tag in arguments": (
        raw(user("Hi"), says(None, ping('{"host": "<tool_call>"}'))),
        [
            f'{CALL}.arguments": the arguments hold a <tool_call> tag, which the server\'s parser would cut at'
            " (fix: take the tag out of the value)"
        ],
    ),
    "a parser tag behind escapes": (
        raw(user("Hi"), says(None, ping('{"host": "\\u003c/tool_call>"}'))),
        [
            f'{CALL}.arguments": the arguments hold a <tool_call> tag, which the server\'s parser would cut at'
            " (fix: take the tag out of the value)"
        ],
    ),
    "a control token in arguments": (
        raw(user("Hi"), says(None, ping('{"host": "<|im_end|>"}'))),
        [f'{CALL}.arguments": holds the control token <|im_end|>, which would end or start a turn (fix: take it out)'],
    ),
}  # fmt: skip

UNMATCHED = "does not match a preceding tool call (fix: name an unanswered call of the turn before)"
ANSWER_FAULTS: dict[str, Case] = {
    "an unanswered call": (
        raw(user("Hi"), says(None, ping()), says("Done.")),
        [
            'message 3, key "tool_call_id": Missing tool message for tool_call_id "c1"'
            " (fix: add the result before this message)"
        ],
    ),
    "a wrong id": (
        raw(user("Hi"), says(None, ping()), result("ok", "c\n9"), says("Done.")),
        [
            f'message 3, key "tool_call_id": tool_call_id "c 9" {UNMATCHED}',
            'message 4, key "tool_call_id": Missing tool message for tool_call_id "c1"'
            " (fix: add the result before this message)",
        ],
    ),
    "a result without a call": (
        raw(user("Hi"), result("ok"), says("Done.")),
        [f'message 2, key "tool_call_id": tool_call_id "c1" {UNMATCHED}'],
    ),
    "a result without an id": (
        raw(user("Hi"), says("Hm."), {"role": "tool", "content": "ok"}, says("Done.")),
        [
            'message 3, key "tool_call_id": Field required (fix: name the call it answers)',
        ],
    ),
    "results out of order": (
        raw(user("Hi"), says(None, ping(), ping(call_id="c2")), result("b", "c2"), result("a"), says("Done.")),
        [
            'message 3, key "tool_call_id": results are not in the order of the calls, and ids are not rendered'
            " (fix: put the results in the order of the calls)"
        ],
    ),
    "two calls with one id": (
        raw(user("Hi"), says(None, ping(), ping()), result("a"), result("b"), says("Done.")),
        ['message 2, key "tool_calls": two calls of the turn share an id (fix: make ids unique)'],
    ),
}  # fmt: skip

MESSAGE_FAULTS: dict[str, Case] = {
    "weight on a user message": (
        raw(user("Hi") | {"weight": 1}, says("Hello.")),
        ['message 1, key "weight": weight is only allowed on assistant messages (fix: drop it)'],
    ),
    "nothing trained": (
        raw(user("Hi"), says("Hello.", weight=0)),
        ["No assistant message to train on (fix: add one, or drop weight 0)"],
    ),
    "an empty answer": (
        raw(user("Hi"), says(" \n")),
        ['message 2, key "content": content is required unless tool_calls is given (fix: write it)'],
    ),
    "a user message without content": (
        raw(user(None), says("Hello.")),
        ['message 1, key "content": Input should be a valid string (fix: write the text)']
    ),
    "content beside a refusal": (
        raw(user("Hi"), says("Hello.", refusal="No.")),
        ['message 2, key "refusal": content and refusal cannot both be set (fix: keep one)'],
    ),
    "calls of a user": (
        raw(user("Hi") | {"tool_calls": [ping()]}, result("ok"), says("Hello.")),
        ['message 1, key "tool_calls": a user message cannot call tools (fix: drop it)'],
    ),
    "annotations": (
        raw(user("Hi"), says("Hello.", annotations=[{"url": "x"}])),
        ['message 2, key "annotations": is not rendered here, so it would be lost (fix: drop it)'],
    ),
    "a control token in text": (
        raw(user("Hi <|im_start|>"), says("Hello.")),
        [
            'message 1, key "content": holds the control token <|im_start|>, which would end or start a turn'
            " (fix: take it out)"
        ],
    ),
    "a control token in a refusal": (
        raw(user("Hi"), says(None, refusal="No<|eot_id|>")),
        [
            'message 2, key "refusal": holds the control token <|eot_id|>, which would end or start a turn'
            " (fix: take it out)"
        ],
    ),
    "a parser tag in content": (
        raw(user("Hi"), says('<tool_call>\n{"name": "ping"}')),
        [
            'message 2, key "content": holds a <tool_call> tag as text, which the server would parse as a call'
            " (fix: move the call to tool_calls)"
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        pytest.param(*case, id=name)
        for group in (TOOL_FAULTS, CALL_FAULTS, ANSWER_FAULTS, MESSAGE_FAULTS)
        for name, case in group.items()
    ],
)
def test_a_fault_is_told_by_file_line_message_key_reason_and_fix(bad: JsonObject, expected: list[str]) -> None:
    assert found(bad) == [f"f.jsonl:7: {line}" for line in expected]


@pytest.mark.parametrize(
    "good",
    [
        GOOD,
        raw(user("Hi"), says(None, refusal="No."), tools=[]),
        raw(user("Hi"), says(None, ping(name="pong"), weight=0), result("error"), says("Sorry.")),
        raw(user("Hi"), says(None, ping('{"hots": 1}'), weight=0), result("error"), says("Sorry.")),
        raw(user("Hi"), says("Hello.", annotations=[], audio=None, function_call=None, refusal=None)),
        raw(user("Hi"), says(None, ping(""), weight=0), result(""), says("Hello.")),
    ],
)
def test_a_good_row_has_no_finding(good: JsonObject) -> None:
    assert found(good) == []
