"""Seal-Tools: ShareGPT whose prompt holds `api_list` and `task_instruction`, calls and tools as Python literals.

The prompt's frame is left out: the tools become tools and the task what the user says. The calls are those of one
turn, so a row whose arguments use another call's result is refused.
"""

import re
from collections import Counter
from typing import Any

from data.layouts.draft import Call, Draft, Turns, read_call
from data.layouts.layout import Layout, texts
from data.layouts.literal import read_value
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.sharegpt import spoken
from data.layouts.tool_list import parameters_from_map
from data.layouts.xlam import refuse_reference
from data.row import JsonObject

_PROMPT = re.compile(
    r"Please chooo?se the needed apis and return api_calling list according to the task_instruction\.\n"
    r"Output format: [^\n]*\nResponses can be used as parameter value\. [^\n]*\n\nInput:\n"
    r'api_list = (?P<tools>\[.*\])\ntask_instruction = "(?P<task>.*)"\nOutput:\s*',
    re.DOTALL,
)
_TOOL_KEYS = {"api_name", "api_description", "parameters", "required"}


def _fits(record: JsonObject) -> bool:
    return any(
        "api_list = " in text and "task_instruction = " in text for text in texts(record, "conversations", "value")
    )


def _draft(record: JsonObject) -> Draft:
    said = [spoken(as_object(item, "a message")) for item in as_list(record["conversations"], "conversations")]
    if [speaker for speaker, _ in said] != ["human", "gpt"]:
        raise RecordError("form", "the conversation is not one prompt and one answer", "split it")
    prompt = as_text(said[0][1], "the prompt")
    found = _PROMPT.fullmatch(prompt)
    if not found or prompt.count('\ntask_instruction = "') > 1:
        raise RecordError("form", "the prompt is not Seal-Tools' own, its parts cannot be told", "mend the prompt")
    turns = Turns()
    turns.notes["prompt frame left out"] += 1
    turns.say("user", found["task"])
    answer = as_list(read_value(as_text(said[1][1], "the answer"), "the answer"), "the answer")
    if not answer:
        raise RecordError("no_answer", "the answer lists no call", "leave it out")
    turns.call([_call(as_object(item, "a call"), turns.notes) for item in answer])
    listed = as_list(read_value(found["tools"], "api_list"), "api_list")
    return Draft(turns.finished(), [_tool(as_object(item, "a tool"), turns.notes) for item in listed], turns.notes)


def _call(item: JsonObject, notes: Counter[str]) -> Call:
    call = {"name" if key == "api" else key: value for key, value in item.items() if key != "responses"}
    notes["call 'responses' left out"] += "responses" in item
    refuse_reference(item.get("parameters"))
    return read_call(call, "parameters")


def _tool(item: JsonObject, notes: Counter[str]) -> JsonObject:
    for key in set(item) - _TOOL_KEYS:
        notes[f"tool {key!r} left out"] += 1
    required: list[Any] = as_list(item.get("required"), "required")
    parameters = parameters_from_map(as_object(item.get("parameters"), "parameters"), required, notes)
    function = {"name": item.get("api_name"), "description": item.get("api_description"), "parameters": parameters}
    return {"type": "function", "function": function}


SEAL_TOOLS = Layout(
    "seal_tools",
    "conversations whose prompt holds api_list and task_instruction (Seal-Tools)",
    _fits,
    _draft,
    frozenset({"conversations"}),
)
