"""Which exercises are set how often, and the checked rows they give."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, get_args

from data.exercises.calling import multi_step, parallel, single
from data.exercises.no_call import no_call
from data.exercises.recovery import recovery
from data.exercises.scene import Exercise, Stage
from data.mock_tools.pattern_text import UnmadeError
from data.reading import parse_row
from data.row import JsonObject
from data.rules.severities import DEFAULTS

Kind = Literal["single", "parallel", "recovery", "multi_step", "no_call"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SET: dict[Kind, Callable[[Stage, Random], Exercise]] = {
    "single": single, "parallel": parallel, "recovery": recovery, "multi_step": multi_step, "no_call": no_call,
}  # fmt: skip
# 30 % single, 10 % parallel, 20 % each of the others.
_KIND_CYCLE: tuple[Kind, ...] = (
    *("single", "multi_step", "recovery", "no_call", "single", "parallel"),
    *("single", "multi_step", "recovery", "no_call"),
)
_ATTEMPTS = 20
_RULES = DEFAULTS.errors_alone()


class Made(NamedTuple):
    exercises: list[Exercise]
    kinds: Counter[Kind]
    skipped: Counter[str]
    """Rows that are missing, by kind and cause."""


def make_exercises(stage: Stage, num_rows: int, seed: int) -> Made:
    """Depends on the arguments alone. A kind that the tool list does not offer leaves its share to the others."""
    offered = [kind for kind in _KIND_CYCLE if _is_offered(kind, stage)]
    made, taken = Made([], Counter(), Counter()), set[str]()
    for index, kind in enumerate(islice(cycle(offered), num_rows)):
        cause = "repeated"
        for attempt in range(_ATTEMPTS):
            try:
                # A string seeds Random by its bytes, whatever PYTHONHASHSEED is.
                exercise = _SET[kind](stage, Random(f"{seed}/{index}/{attempt}"))
            except UnmadeError:
                cause = "no arguments"
                continue
            text = user_text(exercise)
            if text in taken:
                continue
            if (fault := rule_broken(exercise, stage.tools)) is None:
                break
            cause = fault
        else:
            made.skipped[f"{kind}, {cause}"] += 1
            continue
        taken.add(text)
        made.kinds[kind] += 1
        made.exercises.append(exercise)
    return made


def as_row(exercise: Exercise, tools: list[JsonObject]) -> JsonObject:
    return {"messages": exercise.messages, "tools": tools}


def user_text(exercise: Exercise) -> str:
    return next(str(message["content"]) for message in exercise.messages if message["role"] == "user")


def _is_offered(kind: Kind, stage: Stage) -> bool:
    return kind == "no_call" or bool(stage.links if kind == "multi_step" else stage.usable)


def rule_broken(exercise: Exercise, tools: list[JsonObject]) -> str | None:
    """The first rule that the row breaks: a tool list's own examples may hold what no row can."""
    _, findings = parse_row(Path("exercise"), 1, json.dumps(as_row(exercise, tools)), _RULES)
    return next((finding.fault.rule for finding in findings if finding.is_error), None)
