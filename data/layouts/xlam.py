"""xLAM: a query, its calls, and tools whose parameters are a map with Python type names.

    {"query": "Weather in Bern?", "answers": "[{\\"name\\": ..., \\"arguments\\": {...}}]", "tools": "[...]"}

The answers are the calls of one turn, so none may use another's result.
"""

import re

from data.layouts.draft import Draft, Turns, read_call
from data.layouts.layout import Layout
from data.layouts.literal import json_text, read_value
from data.layouts.record_error import RecordError, as_list, as_text
from data.layouts.tool_list import read_tools
from data.row import JsonObject

_REFERENCE = re.compile(r"\bAPI_call_\d+")


def _fits(record: JsonObject) -> bool:
    return {"query", "answers", "tools"} <= set(record)


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    turns.say("user", as_text(record["query"], "query"))
    answers = record["answers"]
    answers = read_value(answers, "answers") if isinstance(answers, str) else answers
    calls = [read_call(call) for call in as_list(answers, "answers")]
    if not calls:
        raise RecordError("no_answer", "answers is empty: what is said instead is not given", "leave it out")
    for call in calls:
        refuse_reference(call.arguments)
    turns.call(calls)
    return Draft(turns.finished(), read_tools(record["tools"], turns.notes), turns.notes)


def refuse_reference(arguments: object) -> None:
    """Raises RecordError where a call of a turn stands on the result of another, which does not exist yet."""
    if reference := _REFERENCE.search(json_text(arguments)):
        what = f"an argument refers to {reference[0]}, the result of another call of the same turn"
        raise RecordError("reference", what, "split the row into turns with their results")


XLAM = Layout("xlam", "query, answers and tools (xLAM)", _fits, _draft, frozenset({"query", "answers", "tools"}))
