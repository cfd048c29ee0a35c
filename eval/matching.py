"""Scores one item: which metrics apply to it, which it meets, and in one word what went wrong."""

import re
from typing import Literal, NamedTuple

from jsonschema import Draft202012Validator
from rapidfuzz import fuzz
from referencing import Registry
from referencing.exceptions import Unresolvable

from data.conversation import Call
from eval.functional import functional_match
from eval.json_values import canonical_text, perfect_matching, same_json, same_multiset
from eval.reply import NotRun, Reading, Reply, read_calls
from eval.settings import Metric, Record
from eval.suite import Item

Verdict = Literal["right", "wrong", "unreadable", "not_run"]
"""`unreadable` (an attempted call that a client could not use) counts as wrong; `not_run` is in no rate."""
Failure = Literal[
    "no_call", "unneeded_call", "wrong_tool", "unknown_tool", "invalid_json", "schema_violation", "missing_argument",
    "extra_argument", "wrong_value", "wrong_count", "leaked_call", "truncated", "empty_answer", "transport",
]  # fmt: skip


class Score(Record):
    verdict: Verdict
    failure: Failure | None = None
    why: str = ""
    metrics: dict[Metric, bool] = {}
    """Only the metrics that apply to this item."""


class Fault(NamedTuple):
    failure: Failure
    why: str


def score(item: Item, answer: Reply | NotRun, fuzzy_threshold: float) -> Score:
    if isinstance(answer, NotRun):
        return Score(verdict="not_run", failure="transport", why=answer.reason)
    reading = read_calls(answer, set(item.tools))
    metrics = _call_validity(item, reading)
    if item.kind == "call":
        metrics |= _call_matches(item, reading, fuzzy_threshold)
        is_right = metrics["exact"]
        fault = None if is_right else _call_fault(item, answer, reading)
    else:
        fault = _answer_fault(answer, reading)
        is_right = fault is None
        metrics["should_not_call" if item.kind == "no_call" else "answer"] = is_right
    if fault is None:
        return Score(verdict="right", metrics=metrics)
    verdict: Verdict = "unreadable" if reading.fault else "wrong"
    return Score(verdict=verdict, failure=fault.failure, why=fault.why, metrics=metrics)


def expected_calls(item: Item) -> list[Call]:
    return [Call(call.name, call.arguments) for call in item.expected_calls]


def pair_calls(expected: list[Call], given: list[Call]) -> list[tuple[Call | None, Call | None]]:
    """Expected and given calls side by side, for a reader: equal ones, then those of the same tool, then the rest."""
    pairs: dict[int, int] = {}
    for likeness in (same_json, lambda want, got: want.name == got.name, lambda want, got: True):
        for i, want in enumerate(expected):
            free = (j for j, got in enumerate(given) if j not in pairs.values() and likeness(want, got))
            if i not in pairs and (j := next(free, None)) is not None:
                pairs[i] = j
    paired = [(want, given[pairs[i]] if i in pairs else None) for i, want in enumerate(expected)]
    return [*paired, *((None, got) for j, got in enumerate(given) if j not in pairs.values())]


def _call_validity(item: Item, reading: Reading) -> dict[Metric, bool]:
    """For every item where the model tried to call, whether it should have or not."""
    if not reading.has_tried_to_call:
        return {}
    is_readable = reading.fault is None
    follows_schemas = is_readable and not any(_schema_fault(item, call) for call in reading.calls)
    return {"valid_json": is_readable, "schema_valid": follows_schemas}


def _call_matches(item: Item, reading: Reading, fuzzy_threshold: float) -> dict[Metric, bool]:
    expected, given = expected_calls(item), reading.calls
    exact = same_multiset(expected, given)

    def is_close(want: Call, got: Call) -> bool:
        if want.name != got.name:
            return False
        return fuzz.ratio(canonical_text(want.arguments), canonical_text(got.arguments)) >= 100 * fuzzy_threshold

    metrics: dict[Metric, bool] = {
        "tool_name": sorted(call.name for call in expected) == sorted(call.name for call in given),
        "exact": exact,
        "fuzzy": exact or (len(expected) == len(given) and perfect_matching(expected, given, is_close)),
    }
    if item.environment:
        # Exact is order-free, so it is never executed: new ids would follow the order of the calls.
        metrics["functional"] = exact or (bool(given) and functional_match(item.messages, expected, given))
    return metrics


def _answer_fault(reply: Reply, reading: Reading) -> Fault | None:
    """No call was expected: any text will do, but text there must be."""
    if reading.fault:
        return Fault(reading.fault, reading.why)
    if reading.calls:
        return Fault("unneeded_call", f"called {', '.join(call.name for call in reading.calls)}")
    return None if reply.content.strip() else Fault("empty_answer", "neither text nor a call")


def _call_fault(item: Item, reply: Reply, reading: Reading) -> Fault:
    if reading.fault:
        return Fault(reading.fault, reading.why)
    if not reading.calls:
        return _missing_call(reply)
    expected, given = expected_calls(item), reading.calls
    if unknown := [call.name for call in given if call.name not in item.tools]:
        return Fault("unknown_tool", f"no tool {unknown[0]!r} was offered")
    if len(expected) != len(given):
        return Fault("wrong_count", f"{len(given)} calls instead of {len(expected)}")
    for want, got in pair_calls(expected, given):
        assert want and got, "equally many calls pair up"
        if want.name != got.name:
            return Fault("wrong_tool", f"{got.name} instead of {want.name}")
        if not same_json(want, got):
            return _argument_fault(item, want, got)
    raise AssertionError(f"{item.id}: every call pairs with an equal one, so the item is right")


def _missing_call(reply: Reply) -> Fault:
    if reply.finish_reason == "length":
        return Fault("truncated", "the token limit came before any call")
    if reply.content.strip():
        return Fault("no_call", "answered in words")
    return Fault("empty_answer", "neither text nor a call")


def _argument_fault(item: Item, want: Call, got: Call) -> Fault:
    if missing := [key for key in want.arguments if key not in got.arguments]:
        return Fault("missing_argument", f"{got.name} without {', '.join(missing)}")
    if extra := [key for key in got.arguments if key not in want.arguments]:
        return Fault("extra_argument", f"{got.name} with {', '.join(extra)}")
    if violation := _schema_fault(item, got):
        return Fault("schema_violation", violation)
    wrong = [key for key in want.arguments if not same_json(want.arguments[key], got.arguments[key])]
    return Fault("wrong_value", f"{got.name}: {', '.join(wrong)}")


def _schema_fault(item: Item, call: Call) -> str:
    """Why the call breaks the schema of its tool; "" if it does not."""
    if call.name not in item.tools:
        return f"no tool {call.name!r} was offered"
    # An empty registry: a $ref to the network is never followed.
    validator = Draft202012Validator(item.tools[call.name].get("parameters") or {}, registry=Registry())
    try:
        error = next(validator.iter_errors(call.arguments), None)
    except (Unresolvable, re.error) as unusable:
        return f"the schema of {call.name!r} cannot be used: {unusable}"  # fail closed
    return f"{call.name}: {error.message[:200]}" if error else ""
