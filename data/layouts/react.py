"""ReAct text in ShareGPT: `Thought:`, `Action:` and `Action Input:`, the tools as JSON in the system text (RoTBench).

    {"conversations": [{"from": "system", "value": "... [{\\"name\\": ...}] ..."}, {"from": "user", "value": "..."},
     {"from": "assistant", "value": "Thought: ...\\nAction: f\\nAction Input: {...}"},
     {"from": "function", "value": "..."}]}

A thought becomes the text before the call. The tool list and the sentences on the written form of a call leave the
system text, all else stays. An answer given as several accepted alternatives is refused.
"""

import re

from data.layouts.draft import Call, Draft, Turns
from data.layouts.layout import Layout, roles
from data.layouts.literal import leading_json, read_object
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.sharegpt import SPEAKERS, spoken
from data.layouts.tool_list import read_tools
from data.row import JsonObject

_STEP = re.compile(r"Thought:(?P<thought>.*?)\nAction:(?P<name>[^\n]*)\nAction Input:(?P<arguments>.*)", re.DOTALL)
_BEFORE_TOOLS = "Specifically, you have access of the following tools:\n"
_WRITTEN_FORM = (
    "Desired format:\nThought: <The thought>\nAction: <The tool you decide to use>\n"
    "Action Input: <The parameters for the tool>\n\n",
    '3. The "Action Input" needs to provide a dict similar to {parameter_1: value_1, parameter_2: value_2} to call '
    "action.\n",
)


def _fits(record: JsonObject) -> bool:
    if not roles(record, "conversations", "from") <= {*SPEAKERS, "function"}:
        return False
    said = [m for m in record.get("conversations") or [] if isinstance(m, dict) and m.get("from") == "assistant"]
    values = [v for m in said for v in (m["value"] if isinstance(m.get("value"), list) else [m.get("value")])]
    return any(isinstance(value, str) and "\nAction Input:" in value for value in values)


def _draft(record: JsonObject) -> Draft:
    turns, tools = Turns(), None
    for item in as_list(record["conversations"], "conversations"):
        speaker, value = spoken(as_object(item, "a message"))
        if speaker == "system":
            text, tools = _system(as_text(value, "the system text"), turns)
            turns.say("system", text)
        elif speaker == "function":
            turns.result(as_text(value, "a result"))
        elif SPEAKERS[speaker] == "assistant":
            call, thought = _step(value)
            turns.call([call], thought)
        else:
            turns.say(SPEAKERS[speaker], as_text(value, "a message"))
    return Draft(turns.finished(), tools, turns.notes)


def _system(text: str, turns: Turns) -> tuple[str, list[JsonObject] | None]:
    before, marker, listed = text.partition(_BEFORE_TOOLS)
    if not marker:
        return text, None
    tools, rest = leading_json(listed, "the tool list")
    for sentence in _WRITTEN_FORM:
        turns.notes["text about the written form of calls left out"] += sentence in before
        before = before.replace(sentence, "")
    return before.rstrip() + rest, read_tools(tools, turns.notes)


def _step(value: object) -> tuple[Call, str]:
    if isinstance(value, list):
        if len(value) != 1:
            raise RecordError("alternatives", f"{len(value)} accepted answers, a row has one", "keep one")
        value = value[0]
    text = as_text(value, "an answer")
    step = _STEP.fullmatch(text)
    if not step or text.count("\nAction Input:") > 1:
        raise RecordError("unreadable", f"no single Thought, Action and Action Input: {text[:60]!r}", "write one step")
    arguments = read_object(step["arguments"].strip(), "Action Input")
    return Call(step["name"].strip(), arguments), step["thought"].strip()


REACT = Layout(
    "react",
    "conversations with Thought, Action and Action Input as text (RoTBench)",
    _fits,
    _draft,
    frozenset({"conversations"}),
)
