"""Which scenarios are played how often, and the rows they give.

Conventions that make every call follow from its context:

* a title is copied exactly as written, an argument that the user does not mention is left out;
* with the tasks listed in the system message, ids come from there; in a numbered workspace a task named by title is
  looked up first with `list_tasks` and status open, one named by id is not;
* independent wishes are parallel calls in the order asked, dependent ones follow one another.
"""

from collections.abc import Callable
from itertools import cycle
from random import Random
from typing import Literal, NamedTuple, get_args

from data import calling_scenarios, no_call_scenarios, recovery_scenarios
from data.row import JsonObject
from data.scene import Split

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
_SCENARIOS: dict[Kind, tuple[Callable[[Random, Split], JsonObject], ...]] = {
    "single": calling_scenarios.SINGLE,
    "recovery": recovery_scenarios.RECOVERY,
    "multi_step": calling_scenarios.MULTI_STEP,
    "no_call": no_call_scenarios.NO_CALL,
}


class Rows(NamedTuple):
    train: list[JsonObject]
    test: list[JsonObject]


def synthesize(n_train: int, n_test: int, seed: int) -> Rows:
    """Rows that depend on the arguments alone; asking for more rows leaves the earlier ones as they were."""
    rows = Rows(_play(n_train, "train", seed), _play(n_test, "test", seed))
    shared = {request_text(row) for row in rows.train} & {request_text(row) for row in rows.test}
    assert not shared, f"test requests seen in training: {sorted(shared)}"
    return rows


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


def _play(n_rows: int, split: Split, seed: int) -> list[JsonObject]:
    turns = {kind: cycle(scenarios) for kind, scenarios in _SCENARIOS.items()}
    kinds = cycle(_KIND_CYCLE)
    # A string seeds Random by its bytes, so a row is the same in every process whatever PYTHONHASHSEED is.
    return [next(turns[next(kinds)])(Random(f"{seed}/{split}/{index}"), split) for index in range(n_rows)]
