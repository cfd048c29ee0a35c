"""Calls and tools as tagged text, in ShareGPT or OpenAI messages: Hermes, and Qwen's chat template once rendered.

    {"conversations": [{"from": "system", "value": "... <tools>[...]</tools> ..."}, {"from": "human", "value": "Hi"},
     {"from": "gpt", "value": "<tool_call>\\n{\\"name\\": ..., \\"arguments\\": {...}}\\n</tool_call>"},
     {"from": "tool", "value": "<tool_response>...</tool_response>"}]}

The sentences that only explain the tags leave the system text: the served template writes its own. All other
text stays.
"""

import re
from typing import Any

from data.layouts.draft import Call, Draft, Turns, read_call
from data.layouts.layout import Layout, roles, texts
from data.layouts.literal import json_text, leading_json, read_value
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.sharegpt import SPEAKERS, spoken
from data.layouts.tool_list import read_tools
from data.row import JsonObject

_TAGS = ("<tool_call>", "<tool_response>", "<tools>")
_TOOLS = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_RESULT = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
_EXPLAINED = [
    re.compile(pattern, re.DOTALL | re.MULTILINE)
    for pattern in (
        r"You are provided with function signatures within <tools>\s*</tools> XML tags[.:]",
        r"You may call one or more functions to assist with the user query\.",
        r"Here are the available tools:",
        r"^# Tools$",
        r"For each function call,? return a (JSON|json) object,? with the following pydantic model json schema"
        r"( for each)?:\s*\{.*?\}\s*\}?\s*(?=Each function call)",
        r"Each function call should be enclosed within <tool_call>\s*</tool_call> XML tags\.",
        r"For each function call, return a json object with function name and arguments within"
        r" <tool_call></tool_call> XML tags:",
        r"<tool_call>\s*\{[^{}]*<[a-z-]+>[^{}]*\}\s*</tool_call>",
    )
]


def _fits(record: JsonObject) -> bool:
    if any(tag in text for text in texts(record, "conversations", "value") for tag in _TAGS):
        return roles(record, "conversations", "from") <= {*SPEAKERS, "tool"}
    tagged = any("<tool_call>" in text for text in _assistant_texts(record))
    return tagged and roles(record, "messages", "role") <= {"system", "user", "assistant", "tool"}


def _assistant_texts(record: JsonObject) -> list[str]:
    messages = record.get("messages")
    if not isinstance(messages, list) or any(isinstance(m, dict) and m.get("tool_calls") for m in messages):
        return []
    spoken_by = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    return [m["content"] for m in spoken_by if isinstance(m.get("content"), str)]


def _draft(record: JsonObject) -> Draft:
    turns, listed = Turns(), []
    for speaker, text in _spoken(record):
        if speaker == "system":
            remaining, found = _system(text)
            listed += found
            if remaining:
                turns.say("system", remaining)
            turns.notes["text about tool tags left out"] += remaining != text.strip()
        elif speaker == "assistant":
            _assistant(turns, text)
        elif speaker == "tool" or (speaker == "user" and text.lstrip().startswith("<tool_response>")):
            _results(turns, text)
        else:
            turns.say(speaker, text)
    return Draft(turns.finished(), _tools(record, listed, turns), turns.notes)


def _spoken(record: JsonObject) -> list[tuple[str, str]]:
    """Role and text of each message of either kind."""
    if "conversations" in record:
        said = [spoken(as_object(item, "a message")) for item in as_list(record["conversations"], "conversations")]
        return [(SPEAKERS.get(who, who), as_text(text, "a message")) for who, text in said]
    out = []
    for item in as_list(record.get("messages"), "messages"):
        message = as_object(item, "a message")
        if unknown := {key for key in message if message[key]} - {"role", "content"}:
            raise RecordError("form", f"key {min(unknown)!r} stands beside tagged text", "keep role and content")
        out.append((as_text(message.get("role"), "role"), as_text(message.get("content"), "a message")))
    return out


def _system(text: str) -> tuple[str, list[Any]]:
    """The text that says more than how to use the tags, and the tools it lists."""
    listed: list[Any] = []
    for block in _TOOLS.findall(text):
        listed += _listed(block.strip())
    if not listed:
        return text, []
    text = _TOOLS.sub(lambda block: "" if block[1].strip() else block[0], text)
    for sentence in _EXPLAINED:
        text = sentence.sub("", text)
    return text.strip(), listed


def _listed(block: str) -> list[Any]:
    """One list, or one tool a line."""
    if not block.startswith("{"):
        return as_list(read_value(block, "the tool list"), "the tool list") if block else []
    try:
        return [read_value(block, "a tool")]
    except RecordError:
        tools = []
        while block:
            tool, rest = leading_json(block, "the tool list")
            tools.append(tool)
            block = rest.strip()
        return tools


def _assistant(turns: Turns, text: str) -> None:
    before, tag, calls = text.partition("<tool_call>")
    if not tag:
        turns.say("assistant", text)
        return
    if rest := _CALL.sub("", tag + calls).strip():
        raise RecordError("order", f"text stands behind a call: {rest[:40]!r}", "put the text before the calls")
    turns.call([_call(block) for block in _CALL.findall(tag + calls)], before.strip())


def _call(block: str) -> Call:
    return read_call(read_value(block.strip(), "a call"))


def _results(turns: Turns, text: str) -> None:
    if "tool_response>" not in text:  # the role alone says what it is
        turns.result(text)
        return
    blocks = _RESULT.findall(text)
    if _RESULT.sub("", text).strip() or not blocks:
        raise RecordError("results", "a result has text outside of <tool_response>", "put it all into the tags")
    for block in blocks:
        turns.result(block.strip())


def _tools(record: JsonObject, listed: list[Any], turns: Turns) -> list[JsonObject] | None:
    """The listed tools; a `tools` column must say the same."""
    column = None if record.get("tools") is None else read_tools(record["tools"], turns.notes)
    if not listed:
        return column
    tools = read_tools(listed, turns.notes)
    if column and json_text(column) != json_text(tools):
        raise RecordError("tools", "the system text lists other tools than the tools column", "keep one of the lists")
    return tools


HERMES = Layout(
    "hermes",
    "<tools>, <tool_call> and <tool_response> in the text of conversations or messages (Hermes, Qwen)",
    _fits,
    _draft,
    frozenset({"conversations", "messages", "tools"}),
)
