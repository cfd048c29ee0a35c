"""ToolAlpaca: one record a service, with its OpenAPI text and, for each instruction, the golden calls.

Each instruction is a row. One with several golden calls is refused: they are steps whose results are not given. A
value that only marks a place (`{start date}`) is refused too.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from data.layouts.draft import Call, Draft, Turns
from data.layouts.layout import Layout
from data.layouts.literal import read_object
from data.layouts.open_api import open_api_tools
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.row import JsonObject
from data.strict_json import load_json

_PLACE_MARK = re.compile(r"\$?\{[^{}\"]*\}")


def _fits(record: JsonObject) -> bool:
    return {"Documentation", "Instruction", "Golden_Answer"} <= set(record)


def _split(record: JsonObject) -> Iterable[JsonObject]:
    instructions, answers = record.get("Instructions"), record.get("Golden_Answers")
    if not isinstance(instructions, list) or not isinstance(answers, list):
        return [record]
    shared = {key: value for key, value in record.items() if key not in ("Instructions", "Golden_Answers")}
    return [
        shared | {"Instruction": instruction, "Golden_Answer": answer}
        for instruction, answer in zip_longest(instructions, answers)
    ]


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    turns.say("user", as_text(record["Instruction"], "the instruction"))
    steps = as_list(record["Golden_Answer"], "the golden answer")
    if len(steps) != 1:
        raise RecordError("steps", f"{len(steps)} golden calls without the results between them", "add the results")
    step = as_object(steps[0], "a golden call")
    if set(step) != {"Action", "Action_Input"}:
        raise RecordError(
            "call", f"a golden call has the keys {', '.join(map(str, step))}", "keep Action and Action_Input"
        )
    turns.call([Call(as_text(step["Action"], "Action"), _arguments(step["Action_Input"]))])
    documentation = read_object(as_text(record["Documentation"], "Documentation"), "Documentation")
    return Draft(turns.finished(), open_api_tools(documentation), turns.notes)


def _arguments(text: Any) -> str:
    try:
        arguments = load_json(as_text(text, "Action_Input"))
    except ValueError as error:
        raise RecordError("unreadable", f"Action_Input is not JSON: {error}", "write one JSON object") from error
    for value in _strings(arguments):
        if _PLACE_MARK.fullmatch(value):
            raise RecordError("place_mark", f"the value {value!r} only marks the place of one", "write the value")
    return str(text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


TOOL_ALPACA = Layout(
    "tool_alpaca",
    "Documentation, Instructions and Golden_Answers (ToolAlpaca)",
    _fits,
    _draft,
    frozenset({"Documentation", "Instruction", "Golden_Answer"}),
    _split,
)
