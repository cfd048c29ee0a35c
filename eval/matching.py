"""Scores one item: which metrics apply to it, which it meets, and in one word what went wrong."""

import json
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from data.conversation import Call
from eval.assignment import best_assignment
from eval.comparison import CallScore, Comparer, Outcome
from eval.expected import ExpectedCall
from eval.functional import functional_match
from eval.item import Item
from eval.json_values import perfect_matching
from eval.quick_check import Check, quick_check
from eval.reply import NotRun, Reading, Reply, read_calls
from eval.settings import Comparison, Metric, Record

Verdict = Literal["right", "wrong", "unreadable", "not_run"]
"""`unreadable` (an attempted call that a client could not use) counts as wrong; `not_run` is in no rate."""
Failure = Literal[
    "no_call", "unneeded_call", "wrong_tool", "unknown_tool", "invalid_json", "schema_violation", "missing_argument",
    "extra_argument", "wrong_value", "wrong_count", "leaked_call", "truncated", "empty_answer", "transport",
]  # fmt: skip


BFCL_COMPARISON = Comparison(normalise={"*.*": ["bfcl"]})


class Score(Record):
    verdict: Verdict
    failure: Failure | None = None
    why: str = ""
    metrics: dict[Metric, bool] = {}
    """Only the metrics that apply to this item."""
    calls: list[CallScore] = []
    """Expected and given calls in pairs, argument by argument; an answer that cannot be read gives none."""


class Fault(NamedTuple):
    failure: Failure
    why: str


def score(item: Item, answer: Reply | NotRun, fuzzy_threshold: float) -> Score:
    if isinstance(answer, NotRun):
        return Score(verdict="not_run", failure="transport", why=answer.reason)
    reading = read_calls(answer, set(item.tools))
    metrics = _call_validity(item, reading)
    calls = match_calls(Comparer(item.tools, item.comparison), item.expected_calls, reading.calls)
    if item.kind == "call":
        metrics |= _call_matches(item, reading, calls, fuzzy_threshold)
        fault = None if metrics["exact"] else _call_fault(item, answer, reading, calls)
    elif item.kind == "any_call":
        fault = _should_call_fault(item, answer, reading)
        metrics["should_call"] = fault is None
    else:
        fault = _answer_fault(answer, reading)
        metrics["should_not_call" if item.kind == "no_call" else "answer"] = fault is None
    if fault is None:
        return Score(verdict="right", metrics=metrics, calls=calls)
    verdict: Verdict = "unreadable" if reading.fault else "wrong"
    return Score(verdict=verdict, failure=fault.failure, why=fault.why, metrics=metrics, calls=calls)


def expected_calls(item: Item) -> list[Call]:
    return [Call(call.name, call.arguments) for call in item.expected_calls]


def match_calls(comparer: Comparer, expected: list[ExpectedCall], given: list[Call]) -> list[CallScore]:
    """Every call once: in the pairs with the most equal calls, then tools, then alike arguments; then those alone."""
    scores = [[comparer.compare(want, got) for got in given] for want in expected]
    pairs = best_assignment(_weights(scores))
    alone = [CallScore(expected=want.name, given=None) for i, want in enumerate(expected) if i not in dict(pairs)]
    taken = {j for _, j in pairs}
    extra = [CallScore(expected=None, given=got.name) for j, got in enumerate(given) if j not in taken]
    return [*(scores[i][j] for i, j in pairs), *alone, *extra]


def pair_calls(expected: list[Call], given: list[Call]) -> list[tuple[Call | None, Call | None]]:
    """The pairs of `match_calls` for a reader, compared as plain JSON."""
    comparer = Comparer({}, Comparison())
    wanted = [ExpectedCall(name=call.name, arguments=call.arguments) for call in expected]
    pairs = dict(best_assignment(_weights([[comparer.compare(want, got) for got in given] for want in wanted])))
    paired = [(want, given[pairs[i]] if i in pairs else None) for i, want in enumerate(expected)]
    return [*paired, *((None, got) for j, got in enumerate(given) if j not in pairs.values())]


def _weights(scores: list[list[CallScore]]) -> list[list[float]]:
    """One more equal call outweighs any number of same tools, and one more same tool any likeness."""
    size = len(scores) + 1
    return [
        [score.similarity + size * (score.expected == score.given) + size**2 * score.is_right for score in row]
        for row in scores
    ]


def _call_validity(item: Item, reading: Reading) -> dict[Metric, bool]:
    """For every item where the model tried to call, whether it should have or not."""
    if not reading.has_tried_to_call:
        return {}
    is_readable = reading.fault is None
    follows_schemas = is_readable and all(_fits_schema(item, call) for call in reading.calls)
    return {"valid_json": is_readable, "schema_valid": follows_schemas}


def _call_matches(item: Item, reading: Reading, calls: list[CallScore], fuzzy_threshold: float) -> dict[Metric, bool]:
    expected, given = item.expected_calls, reading.calls
    exact = all(call.is_right for call in calls)
    comparer = Comparer(item.tools, item.comparison)

    def is_close(want: ExpectedCall, got: Call) -> bool:
        return want.name == got.name and comparer.text_similarity(want, got) >= fuzzy_threshold

    metrics: dict[Metric, bool] = {
        "tool_name": all(call.expected == call.given for call in calls),
        "exact": exact,
        "fuzzy": exact or (len(expected) == len(given) and perfect_matching(expected, given, is_close)),
    }
    free = [argument for call in calls for argument in call.arguments.values() if argument.is_free_text]
    if free:
        metrics["free_text"] = all(argument.similarity >= fuzzy_threshold for argument in free)
    if any(call.allowed is not None for call in expected):
        calls_as_bfcl = match_calls(Comparer(item.tools, BFCL_COMPARISON), expected, given)
        metrics["bfcl_ast"] = all(call.is_right for call in calls_as_bfcl)
    if item.environment:
        # Exact is order-free, so it is never executed: new ids would follow the order of the calls.
        metrics["functional"] = exact or (
            bool(given) and functional_match(item.environment, item.request, expected_calls(item), given)
        )
    return metrics


def _should_call_fault(item: Item, reply: Reply, reading: Reading) -> Fault | None:
    """Any call of an offered tool will do."""
    if reading.fault:
        return Fault(reading.fault, reading.why)
    return _unknown_tool(item, reading) if reading.calls else _missing_call(reply)


def _unknown_tool(item: Item, reading: Reading) -> Fault | None:
    unknown = [call.name for call in reading.calls if call.name not in item.tools]
    return Fault("unknown_tool", f"no tool {unknown[0]!r} was offered") if unknown else None


def _answer_fault(reply: Reply, reading: Reading) -> Fault | None:
    """No call was expected: any text will do, but text there must be."""
    if reading.fault:
        return Fault(reading.fault, reading.why)
    if reading.calls:
        return Fault("unneeded_call", f"called {', '.join(call.name for call in reading.calls)}")
    return None if reply.content.strip() else Fault("empty_answer", "neither text nor a call")


def _call_fault(item: Item, reply: Reply, reading: Reading, calls: list[CallScore]) -> Fault:
    if reading.fault:
        return Fault(reading.fault, reading.why)
    if not reading.calls:
        return _missing_call(reply)
    if fault := _unknown_tool(item, reading):
        return fault
    if len(item.expected_calls) != len(reading.calls):
        return Fault("wrong_count", f"{len(reading.calls)} calls instead of {len(item.expected_calls)}")
    wrong = next(call for call in calls if not call.is_right)
    if wrong.expected != wrong.given:
        return Fault("wrong_tool", f"{wrong.given} instead of {wrong.expected}")
    return _argument_fault(item, reading, wrong)


def _missing_call(reply: Reply) -> Fault:
    if reply.finish_reason == "length":
        return Fault("truncated", "the token limit came before any call")
    if reply.content.strip():
        return Fault("no_call", "answered in words")
    return Fault("empty_answer", "neither text nor a call")


def _argument_fault(item: Item, reading: Reading, wrong: CallScore) -> Fault:
    def keys(outcome: Outcome) -> str:
        found = wrong.arguments.items()
        return ", ".join(key for key, argument in found if argument.outcome == outcome and not argument.is_right)

    if missing := keys("missing"):
        return Fault("missing_argument", f"{wrong.given} without {missing}")
    if extra := keys("extra"):
        return Fault("extra_argument", f"{wrong.given} with {extra}")
    violations = (_schema_fault(item, call) for call in reading.calls if call.name == wrong.given)
    if violation := next(filter(None, violations), ""):
        return Fault("schema_violation", violation)
    return Fault("wrong_value", f"{wrong.given}: {keys('different')}")


def _fits_schema(item: Item, call: Call) -> bool:
    judge = _judge(item, call)
    return judge.quick(call.arguments) if judge and judge.quick else not _schema_fault(item, call)


def _schema_fault(item: Item, call: Call) -> str:
    """Why the call breaks the schema of its tool; "" if it does not."""
    judge = _judge(item, call)
    if judge is None:
        return f"no tool {call.name!r} was offered"
    try:
        error = next(judge.validator.iter_errors(call.arguments), None)
    except (Unresolvable, re.error) as unusable:
        return f"the schema of {call.name!r} cannot be used: {unusable}"  # fail closed
    return f"{call.name}: {error.message[:200]}" if error else ""


class _Judge(NamedTuple):
    validator: Draft202012Validator
    quick: Check | None


def _judge(item: Item, call: Call) -> _Judge | None:
    if call.name not in item.tools:
        return None
    return _judge_of(json.dumps(item.tools[call.name].get("parameters") or {}))


@lru_cache(maxsize=4096)  # items share their tools
def _judge_of(schema: str) -> _Judge:
    parameters = json.loads(schema)
    # An empty registry: a $ref to the network is never followed.
    return _Judge(Draft202012Validator(parameters, registry=Registry()), quick_check(parameters))
