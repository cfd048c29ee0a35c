"""ShareGPT with tool roles, as LLaMA-Factory reads it: `conversations` of `from` and `value`, `tools` as JSON text.

{"conversations": [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": "{\\"name\\": ...}"},
 {"from": "observation", "value": "..."}, {"from": "gpt", "value": "Done."}], "tools": "[...]"}
"""

from data.layouts.draft import Draft, Turns, read_call
from data.layouts.layout import Layout, roles
from data.layouts.literal import json_text, read_value
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.tool_list import read_tools
from data.row import JsonObject

SPEAKERS = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
_CALL, _RESULT = "function_call", ("observation", "tool")


def _fits(record: JsonObject) -> bool:
    found = roles(record, "conversations", "from")
    return bool(found) and found <= {*SPEAKERS, _CALL, *_RESULT}


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    if record.get("system"):
        turns.say("system", as_text(record["system"], "system"))
    for item in as_list(record["conversations"], "conversations"):
        speaker, value = spoken(as_object(item, "a message"))
        if speaker == _CALL:
            found = read_value(as_text(value, "a call"), "a call")
            turns.join_call([read_call(call) for call in (found if isinstance(found, list) else [found])])
        elif speaker in _RESULT:
            turns.result(value if isinstance(value, str) else json_text(value))
        else:
            turns.say(SPEAKERS[speaker], as_text(value, "a message"))
    tools = None if record.get("tools") is None else read_tools(record["tools"], turns.notes)
    return Draft(turns.finished(), tools, turns.notes)


def spoken(item: JsonObject) -> tuple[str, object]:
    """Who speaks and what; anything else a message says would be lost."""
    if unknown := {key for key in item if item[key] not in (None, "")} - {"from", "value"}:
        raise RecordError("form", f"key {min(unknown)!r} of a message is not known", "keep from and value")
    return as_text(item.get("from"), "from"), item.get("value")


SHAREGPT = Layout(
    "sharegpt",
    "conversations of from and value with the roles function_call and observation",
    _fits,
    _draft,
    frozenset({"conversations", "tools", "system"}),
)
