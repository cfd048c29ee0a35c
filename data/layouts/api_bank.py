"""API-Bank: `turns` of `User`, `AI` and `API`, each API turn a call with its result; the tool list must be given.

    {"turns": [{"role": "User", "text": "Hi"}, {"role": "API", "api_name": "f", "param_dict": {...}, "result": {...}}]}

The whole `result` object is what the tool returned. What the AI says directly before a call is the text of that turn.
"""

from data.layouts.draft import Call, Draft, Turns
from data.layouts.layout import Layout, roles
from data.layouts.literal import json_text
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.row import JsonObject

_SPEAKERS = {"User": "user", "AI": "assistant"}


def _fits(record: JsonObject) -> bool:
    found = roles(record, "turns", "role")
    return bool(found) and found <= {*_SPEAKERS, "API"}


def _draft(record: JsonObject) -> Draft:
    turns = Turns()
    for item in as_list(record["turns"], "turns"):
        turn = as_object(item, "a turn")
        if turn.get("role") != "API":
            turns.say(_SPEAKERS[turn["role"]], as_text(turn.get("text"), "text"))
            continue
        name, result = as_text(turn.get("api_name"), "api_name"), as_object(turn.get("result"), "result")
        if result.get("api_name", name) != name:
            raise RecordError(
                "results", f"a result of {result['api_name']!r} is at a call of {name!r}", "mend the turn"
            )
        turns.join_call([Call(name, as_object(turn.get("param_dict"), "param_dict"))])
        turns.result(json_text(result))
    return Draft(turns.finished(), None, turns.notes)


API_BANK = Layout(
    "api_bank", "turns of User, AI and API (API-Bank); needs --tools", _fits, _draft, frozenset({"turns"})
)
