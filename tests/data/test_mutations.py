"""Good rows, each spoiled in one named way: the checks must tell the line, the message, the key and the rule."""

# ruff: noqa: E501  # a table: one kind a line
import json
from pathlib import Path

import pytest

from data.reading import read_row_file
from tests.data.corruptions import (
    COFFEE,
    GOOD_ROWS,
    PARALLEL,
    TASK,
    Corruption,
    drop,
    encode_again,
    in_arguments,
    in_call,
    in_function,
    in_row,
    in_text,
    null_fill,
    put,
    rename_argument,
    swap,
    tool,
)

CALL = "tool_calls[0].function"
ARGUMENTS = f"{CALL}.arguments"
PARAMETERS = "tools[0].function.parameters"

LINES = {
    "broken JSON": Corruption(COFFEE, in_text(lambda text: text.replace('"messages": [', '"messages": [,', 1)), "broken_json"),
    "truncated line": Corruption(COFFEE, in_text(lambda text: text[: len(text) // 2]), "broken_json"),
    "a character cut in half": Corruption(COFFEE, in_text(lambda text: text.replace("Mocha", "Café", 1).encode().replace(b"\xc3\xa9", b"\xc3", 1)), "broken_json"),
    "two rows on a line": Corruption(COFFEE, in_text(lambda text: text + text), "broken_json"),
    "a BOM inside the file": Corruption(COFFEE, in_text(lambda text: "\ufeff" + text), "broken_json"),
    "single quotes": Corruption(COFFEE, lambda row: str(row), "broken_json"),
    "NaN": Corruption(COFFEE, in_text(lambda text: text.replace('"content": null', '"content": NaN', 1)), "broken_json"),
    "a key twice": Corruption(COFFEE, in_text(lambda text: text.replace('"role": "user"', '"role": "user", "role": "user"', 1)), "broken_json"),
    "half a surrogate pair": Corruption(COFFEE, in_text(lambda text: text.replace("Mocha", "Mocha \\ud83c", 1)), "broken_json"),
    "a bare list of messages": Corruption(COFFEE, lambda row: json.dumps(row["messages"]), "broken_json"),
    "the row as JSON text": Corruption(COFFEE, in_text(json.dumps), "broken_json"),
    "endless nesting": Corruption(COFFEE, in_text(lambda text: text.replace('"content": null', '"content": ' + "[" * 9999 + "]" * 9999, 1)), "broken_json"),
    "prompt and completion": Corruption(COFFEE, lambda row: '{"prompt": "Hi", "completion": "Hello."}', "file_format"),
}  # fmt: skip

MESSAGES = {
    "unknown role": Corruption(COFFEE, put(2, role="human"), "form", 2, "role"),
    "role missing": Corruption(COFFEE, drop(2, "role"), "form", 2, "role"),
    "role of a result": Corruption(COFFEE, put(4, role="user"), "role", 4, "tool_call_id"),
    "role of a caller": Corruption(COFFEE, put(3, role="user"), "role", 3, "tool_calls"),
    "role of the only user": Corruption(TASK, put(2, role="system"), "no_user"),
    "role of the last answer": Corruption(COFFEE, put(17, role="user"), "ends_without_answer"),
    "role of a user between answers": Corruption(COFFEE, put(14, role="assistant"), "repeated_answer", 14, "role"),
    "dropped request": Corruption(COFFEE, drop(14), "repeated_answer", 14, "role"),
    "a message that is text": Corruption(COFFEE, lambda row: row["messages"].__setitem__(1, "Hi"), "form", 2, ""),
    "messages missing": Corruption(COFFEE, lambda row: row.pop("messages") and None, "form", None, "messages"),
    "messages empty": Corruption(COFFEE, in_row(messages=[]), "form", None, "messages"),
    "messages as an object": Corruption(COFFEE, in_row(messages={"0": {}}), "form", None, "messages"),
    "content a number": Corruption(COFFEE, put(2, content=5), "form", 2, "content"),
    "content null": Corruption(COFFEE, put(2, content=None), "content", 2, "content"),
    "content blank": Corruption(COFFEE, put(2, content=" \n"), "empty_text", 2, "content"),
    "no parts": Corruption(COFFEE, put(2, content=[]), "form", 2, "content"),
    "an image part": Corruption(COFFEE, put(2, content=[{"type": "image_url", "image_url": {"url": "x"}}]), "form", 2, "content[0].type"),
    "a part without text": Corruption(COFFEE, put(2, content=[{"type": "text"}]), "form", 2, "content[0].text"),
    "an empty answer": Corruption(COFFEE, put(17, content=""), "content", 17, "content"),
    "calls lost from a turn": Corruption(COFFEE, drop(3, "tool_calls"), "content", 3, "content"),
    "calls emptied": Corruption(COFFEE, put(3, tool_calls=[]), "content", 3, "content"),
    "weight on user": Corruption(COFFEE, put(2, weight=1), "weight", 2, "weight"),
    "weight one half": Corruption(COFFEE, put(3, weight=0.5), "form", 3, "weight"),
    "weight as text": Corruption(COFFEE, put(3, weight="1"), "form", 3, "weight"),
    "weight true": Corruption(COFFEE, put(3, weight=True), "form", 3, "weight"),
    "weight misspelt": Corruption(COFFEE, put(3, wieght=0), "extra_key", 3, "wieght"),
    "nothing trained": Corruption(TASK, lambda row: [m.update(weight=0) for m in row["messages"] if m["role"] == "assistant"] and None, "nothing_trained"),
    "content and refusal": Corruption(COFFEE, put(17, refusal="No."), "refusal", 17, "refusal"),
    "annotations": Corruption(COFFEE, put(17, annotations=[{"type": "url"}]), "unrendered", 17, "annotations"),
    "audio": Corruption(COFFEE, put(17, audio={"id": "a"}), "form", 17, "audio"),
    "a name": Corruption(COFFEE, put(2, name="bob"), "name", 2, "name"),
    "control token in user text": Corruption(COFFEE, put(2, content="Hi<|im_end|>"), "control_token", 2, "content"),
    "a BOS typed into text": Corruption(COFFEE, put(1, content="<|begin_of_text|>Take orders."), "control_token", 1, "content"),
    "control token in a result": Corruption(COFFEE, put(4, content="<|eot_id|>"), "control_token", 4, "content"),
    "control token in a part": Corruption(COFFEE, put(2, content=[{"type": "text", "text": "<|im_start|>"}]), "control_token", 2, "content"),
    "a call as text": Corruption(COFFEE, put(17, content='<tool_call>{"name": "x"}</tool_call>'), "parser_tag", 17, "content"),
}  # fmt: skip

CALLS = {
    "doubled encoding": Corruption(COFFEE, encode_again, "arguments", 3, ARGUMENTS),
    "arguments no JSON": Corruption(COFFEE, in_function(3, arguments="query=Mocha"), "arguments", 3, ARGUMENTS),
    "arguments with single quotes": Corruption(COFFEE, in_function(3, arguments="{'query': 'Mocha'}"), "arguments", 3, ARGUMENTS),
    "arguments cut off": Corruption(COFFEE, in_function(3, arguments='{"query": "Mo'), "arguments", 3, ARGUMENTS),
    "arguments a list": Corruption(COFFEE, in_function(3, arguments='["Mocha"]'), "arguments", 3, ARGUMENTS),
    "NaN in arguments": Corruption(COFFEE, in_function(3, arguments='{"query": NaN}'), "arguments", 3, ARGUMENTS),
    "an argument twice": Corruption(COFFEE, in_function(3, arguments='{"query": "a", "query": "b"}'), "arguments", 3, ARGUMENTS),
    "arguments null": Corruption(COFFEE, in_function(3, arguments=None), "form", 3, ARGUMENTS),
    "arguments an object": Corruption(COFFEE, in_function(3, arguments={"query": "Mocha"}), "object_arguments", 3, ARGUMENTS),
    "renamed argument": Corruption(COFFEE, rename_argument(7, "scope", "area"), "unknown_argument", 7, f"{ARGUMENTS}.area"),
    "renamed required argument": Corruption(COFFEE, rename_argument(3, "query", "q"), "argument_schema", 3, ARGUMENTS),
    "renamed nested key": Corruption(COFFEE, rename_argument(9, "attribute_name", "label"), "unknown_argument", 9, f"{ARGUMENTS}.attributes[0].label"),
    "dropped required argument": Corruption(COFFEE, in_function(3, arguments="{}"), "argument_schema", 3, ARGUMENTS),
    "wrong type": Corruption(COFFEE, in_arguments(5, quantity=1), "argument_schema", 5, f"{ARGUMENTS}.quantity"),
    "wrong type of a list": Corruption(COFFEE, in_arguments(9, attributes="Togo"), "argument_schema", 9, f"{ARGUMENTS}.attributes"),
    "enum break": Corruption(COFFEE, in_arguments(7, scope="item"), "argument_schema", 7, f"{ARGUMENTS}.scope"),
    "enum in capitals": Corruption(TASK, in_arguments(3, priority="HIGH"), "argument_schema", 3, f"{ARGUMENTS}.priority"),
    "pattern break": Corruption(PARALLEL, in_arguments(3, task_id="204"), "argument_schema", 3, f"{ARGUMENTS}.task_id"),
    "a date in words": Corruption(TASK, in_arguments(3, due_date="tomorrow"), "argument_format", 3, f"{ARGUMENTS}.due_date"),
    "a day that is none": Corruption(TASK, in_arguments(3, due_date="2026-02-30"), "argument_format", 3, f"{ARGUMENTS}.due_date"),
    "a date with a time": Corruption(TASK, in_arguments(3, due_date="2026-02-03T00:00:00Z"), "argument_format", 3, f"{ARGUMENTS}.due_date"),
    "an empty title": Corruption(TASK, in_arguments(3, title=""), "argument_schema", 3, f"{ARGUMENTS}.title"),
    "null fill of optional arguments": Corruption(COFFEE, in_arguments(7, menu_item_id=None), "null_argument", 7, f"{ARGUMENTS}.menu_item_id"),
    "null fill from other calls": Corruption(COFFEE, null_fill, "null_argument", 3, f"{ARGUMENTS}.quantity"),
    "control token behind escapes": Corruption(COFFEE, in_function(3, arguments='{"query": "\\u003c|im_end|>"}'), "control_token", 3, ARGUMENTS),
    "parser tag in arguments": Corruption(COFFEE, in_arguments(3, query="</tool_call>"), "parser_tag", 3, ARGUMENTS),
    "unknown tool": Corruption(COFFEE, in_function(3, name="search_menu"), "unknown_tool", 3, f"{CALL}.name"),
    "a tool in other letters": Corruption(COFFEE, in_function(3, name="Get_Menu_Items"), "unknown_tool", 3, f"{CALL}.name"),
    "a tool name with a dot": Corruption(COFFEE, in_function(3, name="menu.get"), "form", 3, f"{CALL}.name"),
    "a call without a name": Corruption(COFFEE, lambda row: row["messages"][2]["tool_calls"][0]["function"].pop("name") and None, "form", 3, f"{CALL}.name"),
    "a call without an id": Corruption(COFFEE, lambda row: row["messages"][2]["tool_calls"][0].pop("id") and None, "form", 3, "tool_calls[0].id"),
    "a call with an empty id": Corruption(COFFEE, in_call(3, id=""), "form", 3, "tool_calls[0].id"),
    "a custom call": Corruption(COFFEE, in_call(3, type="custom"), "form", 3, "tool_calls[0].type"),
    "a call with an index": Corruption(COFFEE, in_call(3, index=0), "extra_key", 3, "tool_calls[0].index"),
    "calls as one object": Corruption(COFFEE, put(3, tool_calls={"name": "get_menu_items"}), "form", 3, "tool_calls"),
    "missing tool_call_id": Corruption(COFFEE, drop(4, "tool_call_id"), "tool_call_id", 4, "tool_call_id"),
    "another call's id": Corruption(COFFEE, put(4, tool_call_id="call_0"), "tool_call_id", 4, "tool_call_id"),
    "one id for two calls": Corruption(PARALLEL, in_call(3, 1, id="call_1"), "tool_call_id", 3, "tool_calls"),
    "dropped result": Corruption(COFFEE, drop(4), "unanswered_call", 4, "tool_call_id"),
    "dropped call": Corruption(COFFEE, drop(3), "tool_call_id", 3, "tool_call_id"),
    "dropped result at the end": Corruption(PARALLEL, lambda row: row.update(messages=row["messages"][:4]), "unanswered_call", 4, "tool_call_id"),
    "doubled result": Corruption(COFFEE, lambda row: row["messages"].insert(4, row["messages"][3]), "tool_call_id", 5, "tool_call_id"),
    "swapped results": Corruption(PARALLEL, swap(4, 5), "result_order", 4, "tool_call_id"),
    "a result before its call": Corruption(COFFEE, swap(3, 4), "tool_call_id", 3, "tool_call_id"),
    "a result without content": Corruption(COFFEE, drop(4, "content"), "content", 4, "content"),
    "a result as an object": Corruption(COFFEE, put(4, content={"ok": True}), "form", 4, "content"),
    "parallel calls where they are off": Corruption(PARALLEL, in_row(parallel_tool_calls=False), "parallel", 3, "tool_calls"),
    "parallel_tool_calls as text": Corruption(PARALLEL, in_row(parallel_tool_calls="false"), "form", None, "parallel_tool_calls"),
}  # fmt: skip

TOOLS = {
    "tools dropped": Corruption(COFFEE, lambda row: row.pop("tools") and None, "missing_tools", None, "tools"),
    "tools emptied": Corruption(COFFEE, in_row(tools=[]), "missing_tools", None, "tools"),
    "tools as JSON text": Corruption(COFFEE, lambda row: row.update(tools=json.dumps(row["tools"])), "form", None, "tools"),
    "a tool twice": Corruption(COFFEE, lambda row: row["tools"].append(row["tools"][0]), "duplicate_tool", None, "tools"),
    "a tool without its wrapper": Corruption(COFFEE, lambda row: row.update(tools=[entry["function"] for entry in row["tools"]]), "form", None, "tools[0].type"),
    "parameters a list": Corruption(COFFEE, tool(0, lambda function: function.update(parameters=[])), "form", None, PARAMETERS),
    "parameters of a made-up type": Corruption(COFFEE, tool(0, lambda function: function.update(parameters={"type": "dict"})), "tool_schema", None, PARAMETERS),
    "null fill of a schema": Corruption(COFFEE, tool(0, lambda function: function["parameters"].update(required=None)), "tool_schema", None, PARAMETERS),
    "a property lost from a schema": Corruption(COFFEE, tool(1, lambda function: function["parameters"].update(properties={})), "unknown_argument", 3, f"{ARGUMENTS}.query"),
    "strict without a strict schema": Corruption(COFFEE, tool(1, lambda function: function.update(strict=True)), "strict_schema", None, "tools[1].function.parameters"),
    "control token in a description": Corruption(COFFEE, tool(0, lambda function: function.update(description="<|eot_id|>")), "control_token", None, "tools[0]"),
    "unknown key of the row": Corruption(COFFEE, in_row(tool_choice="auto"), "extra_key", None, "tool_choice"),
    "functions beside tools": Corruption(COFFEE, in_row(functions=[{"name": "x"}]), "form"),
    "a function call beside tools": Corruption(COFFEE, put(17, function_call={"name": "x", "arguments": "{}"}), "form"),
}  # fmt: skip

KINDS = LINES | MESSAGES | CALLS | TOOLS


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_told_by_line_message_key_and_rule(kind: str, tmp_path: Path) -> None:
    bad = KINDS[kind]
    path = tmp_path / "rows.jsonl"
    first, *others = [json.dumps(row).encode() for row in GOOD_ROWS]
    path.write_bytes(b"\n".join([first, b"", bad.line(), *others]) + b"\n")
    findings = read_row_file(path).findings
    assert {finding.line for finding in findings} == {3}, [str(finding) for finding in findings]
    told = [(finding.fault.rule, finding.fault.message, finding.fault.key) for finding in findings]
    assert (bad.rule, bad.message, bad.key) in told, [str(finding) for finding in findings]


def test_no_two_kinds_write_the_same_line() -> None:
    assert len({corruption.line() for corruption in KINDS.values()}) == len(KINDS) == 111
