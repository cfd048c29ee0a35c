"""Which scenarios are played how often, and the rows they give.

Conventions that make every call follow from its context:

* a title is copied exactly as written, an argument that the user does not mention is left out;
* with the tasks listed in the system message, ids come from there; in a numbered workspace a task named by title is
  looked up first with `list_tasks` and status open, one named by id is not;
* independent wishes are parallel calls in the order asked, dependent ones follow one another.
"""

import zlib
from collections.abc import Callable
from itertools import count, cycle
from random import Random
from typing import Literal, NamedTuple, get_args

from data.row import JsonObject
from data.task_api import calling, no_call, recovery
from data.task_api.scene import Level, Setting

Kind = Literal["single", "recovery", "multi_step", "no_call"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# 35 % single, 20 % recovery, 25 % multi-step, 20 % no call, in any run of 20 rows.
_KIND_CYCLE: tuple[Kind, ...] = (
    *("single", "multi_step", "recovery", "single", "no_call", "single", "multi_step", "single", "recovery", "no_call"),
    *(
        "single",
        "multi_step",
        "single",
        "recovery",
        "multi_step",
        "no_call",
        "single",
        "recovery",
        "multi_step",
        "no_call",
    ),
)
TRIES_FOR_NEW_WORDS = 40
Scenario = Callable[[Random, Setting], JsonObject]
_SCENARIOS: dict[Level, dict[Kind, tuple[Scenario, ...]]] = {
    "basic": {
        "single": calling.BASIC_SINGLE,
        "recovery": recovery.BASIC_RECOVERY,
        "multi_step": calling.BASIC_MULTI_STEP,
        "no_call": no_call.BASIC_NO_CALL,
    },
    "full": {
        "single": calling.SINGLE,
        "recovery": recovery.RECOVERY,
        "multi_step": calling.MULTI_STEP,
        "no_call": no_call.NO_CALL,
    },
}


class Rows(NamedTuple):
    train: list[JsonObject]
    test: list[JsonObject]
    reworded: list[JsonObject]


def synthesize(n_train: int, n_test: int, seed: int, level: Level = "full", n_reworded: int = 0) -> Rows:
    """Rows that depend on the arguments alone; no request of a test row is one of a training row, and a reworded row
    asks in phrases that no training row uses."""
    train = _play(n_train, Setting("train", level), seed, frozenset())
    taken = frozenset(map(request_text, train))
    test = _play(n_test, Setting("test", level), seed, taken)
    return Rows(train, test, _play(n_reworded, Setting("reworded", level), seed, taken))


def kind_of(row: JsonObject) -> Kind:
    """The kind follows from the messages: a failed call, else the number of calls after the last user message."""
    messages = row["messages"]
    if any(message.get("weight") == 0 for message in messages):
        return "recovery"
    last_ask = max(index for index, message in enumerate(messages) if message["role"] == "user")
    num_calls = sum(len(message.get("tool_calls", ())) for message in messages[last_ask:])
    return "no_call" if num_calls == 0 else "single" if num_calls == 1 else "multi_step"


def request_text(row: JsonObject) -> str:
    """All that the user says, without regard to case and space."""
    said = " ".join(message["content"] for message in row["messages"] if message["role"] == "user")
    return " ".join(said.casefold().split())


def _play(n_rows: int, setting: Setting, seed: int, taken: frozenset[str]) -> list[JsonObject]:
    turns = {kind: cycle(scenarios) for kind, scenarios in _SCENARIOS[setting.level].items()}
    kinds = cycle(_KIND_CYCLE)
    rows: list[JsonObject] = []
    said: set[str] = set()
    for i in range(n_rows):
        rows.append(_new_row(next(turns[next(kinds)]), setting, f"{seed}/{setting.split}/{i}", taken, said))
        said.add(request_text(rows[-1]))
    return rows


def _new_row(scenario: Scenario, setting: Setting, name: str, taken: frozenset[str], said: set[str]) -> JsonObject:
    """Played again under another name when its request is the other split's, or `said` already in its own: a held-out
    request asked twice would count twice. Some scenarios have few requests, so after some tries it may be said again.

    A string seeds Random by its bytes, so a row is the same in every process whatever PYTHONHASHSEED is.
    """
    for attempt in count():
        row = scenario(Random(f"{name}/{attempt}" if attempt else name), setting)
        text = request_text(row)
        is_ours = text not in taken and (setting.level == "full" or _is_for_test(text) == (setting.split != "train"))
        if is_ours and (text not in said or attempt > TRIES_FOR_NEW_WORDS):
            return row
    raise AssertionError("count() never ends")


def _is_for_test(text: str) -> bool:
    """Basic scenes share their phrases, so a hash deals each request, even one without a name in it, to one split."""
    return zlib.crc32(text.encode()) % 4 == 0
