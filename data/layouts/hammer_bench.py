"""HammerBench: roles `user`, `assistant` and `function call`, tools under `multiple_tools`.

    {"messages": [{"role": "user", "content": "..."}, {"role": "function call", "content": {"name": ..., ...}}],
     "multiple_tools": [...]}

Where a `function call` is not the end, it holds the state of a dialogue that still asks for arguments. No call was
made there, so such a row is refused.
"""

from data.layouts.draft import Draft, Turns, read_call
from data.layouts.layout import Layout, roles
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.layouts.tool_list import read_tools
from data.row import JsonObject

_CALL = "function call"


def _fits(record: JsonObject) -> bool:
    found = roles(record, "messages", "role")
    return _CALL in found and found <= {"system", "user", "assistant", _CALL}


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    messages = [as_object(item, "a message") for item in as_list(record["messages"], "messages")]
    for number, message in enumerate(messages, start=1):
        if message["role"] != _CALL:
            turns.say(message["role"], as_text(message.get("content"), "content"))
            continue
        if number < len(messages):
            what = f"message {number} is a running state of arguments, not a call that was made: no result follows it"
            raise RecordError("running_state", what, "keep rows whose only call ends them")
        turns.call([read_call(message.get("content"))])
    tools = None if record.get("multiple_tools") is None else read_tools(record["multiple_tools"], turns.notes)
    return Draft(turns.finished(), tools, turns.notes)


HAMMER_BENCH = Layout(
    "hammer_bench",
    "messages with the role 'function call', multiple_tools (HammerBench)",
    _fits,
    _draft,
    frozenset({"messages", "multiple_tools"}),
)
