"""How a played conversation ended: the end state against the row's, recovery from a fault, and the cause of a miss."""

import re
from collections import Counter
from typing import Any, Literal, NamedTuple

from data.conversation import Call
from data.row import JsonObject, Row
from eval.environments.environment import Environment, expected_calls
from eval.json_values import perfect_matching, same_json

Ending = Literal["answered", "too_many_turns", "not_run"]
Recovery = Literal["retried", "asked", "gave_up", "wrong"]
"""`retried`: the end state is right all the same. `asked`: it turned to the user. `gave_up`: it said that it could not.
`wrong`: anything else, above all a claim that it was done. The last three are told apart by the words of the final
text, in English."""
Cause = Literal[
    "not_run", "looped", "stopped_early", "wrong_tool", "wrong_argument", "unneeded_call", "claimed_done",
]  # fmt: skip

_ADMITS = re.compile(
    r"\b(?:can(?:no|')t|could(?: no|n')t|unable|not able|fail(?:ed|s)?|error|sorry|unfortunately|did(?: no|n')t work"
    r"|was(?: no|n')t|not done|try again|later|problem|unavailable|timed? ?out)\b",
    re.IGNORECASE,
)


class Made(NamedTuple):
    """A call that was executed and what it gave."""

    call: Call
    result: JsonObject
    has_changed: bool

    @property
    def has_failed(self) -> bool:
        return "error" in self.result


class Run(NamedTuple):
    """What one conversation did, whoever held it: the project's own loop or an agent library."""

    ending: Ending
    made: list[Made]
    state: Any
    final_text: str


def make(environment: Environment, name: str, arguments: JsonObject) -> Made:
    before = environment.state()
    result = environment.call(name, arguments)
    return Made(Call(name, arguments), result, not same_json(environment.state(), before))


def reference(environment: Environment, row: Row) -> Run:
    """The row's own calls in a fresh environment, which stays as they leave it."""
    environment.reset()
    made = [make(environment, name, arguments) for name, arguments in expected_calls(row)]
    return Run("answered", made, environment.state(), "")


def is_right(wanted: Run, given: Run) -> bool:
    """Same end state, and every look that the row takes was taken with the same result; further looks do no harm."""
    if given.ending != "answered" or not same_json(wanted.state, given.state):
        return False
    looks, taken = _looks(wanted), _looks(given)
    # Each wanted look needs one of its own among those taken: pad the wanted ones with looks that anything fits.
    padded = [*looks, *[None] * (len(taken) - len(looks))]
    return len(taken) >= len(looks) and perfect_matching(padded, taken, lambda a, b: a is None or same_json(a, b))


def recovery(given: Run, *, right: bool) -> Recovery:
    if right:
        return "retried"
    if given.ending != "answered":
        return "wrong"
    if "?" in given.final_text:
        return "asked"
    return "gave_up" if _ADMITS.search(given.final_text) else "wrong"


def cause(wanted: Run, given: Run) -> Cause:
    """Why a run is not right, in one word, by the calls that succeeded."""
    if given.ending != "answered":
        return "not_run" if given.ending == "not_run" else "looped"
    want = Counter(made.call.name for made in wanted.made if not made.has_failed)
    got = Counter(made.call.name for made in given.made if not made.has_failed)
    if got - want and not want - got:
        return "unneeded_call"
    if want - got and not got - want:
        return "claimed_done" if given.made and given.made[-1].has_failed else "stopped_early"
    return "wrong_argument" if want == got else "wrong_tool"


def _looks(run: Run) -> list[JsonObject | None]:
    return [made.result for made in run.made if not made.has_changed and not made.has_failed]
