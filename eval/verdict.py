"""May the model be deployed? PASS, FAIL or NEED MORE DATA, with a reason in words for each condition; fails closed."""

import math
from typing import Literal

from eval.evaluation import Evaluation, ModelRun
from eval.intervals import needed_trials, percent
from eval.rates import Rate
from eval.settings import GateSection, Metric, Record

Outcome = Literal["PASS", "FAIL", "NEED MORE DATA"]
EXIT_STATUS: dict[Outcome, int] = {"PASS": 0, "FAIL": 1, "NEED MORE DATA": 3}
# How sure we want to be that a candidate lost to its baseline, not to chance.
_WORSE_P_VALUE = 0.05


class Condition(Record):
    name: str
    outcome: Outcome
    reason: str


class Verdict(Record):
    outcome: Outcome
    model: str
    suite_sha256: str
    gate: GateSection
    conditions: list[Condition]


def judge(evaluation: Evaluation, gate: GateSection) -> Verdict:
    conditions = [
        *(
            _threshold(name, evaluation.candidate.scores.metrics[name], gate.thresholds[name])
            for name in gate.thresholds
        ),
        _answered("answered", evaluation.candidate, gate.max_not_run),
        *_latency(evaluation.candidate, gate.latency_p95_ms),
        *_against_baseline(evaluation, gate),
    ]
    outcomes = {condition.outcome for condition in conditions}
    outcome: Outcome = "FAIL" if "FAIL" in outcomes else "NEED MORE DATA" if "NEED MORE DATA" in outcomes else "PASS"
    return Verdict(
        outcome=outcome,
        model=evaluation.candidate.endpoint.model,
        suite_sha256=evaluation.suite.sha256,
        gate=gate,
        conditions=conditions,
    )


def _threshold(name: Metric, rate: Rate, threshold: float) -> Condition:
    if rate.rate is None or rate.low is None:
        reason = f"no data: no item of the suite gave a {name} score, so nothing is known"
        return Condition(name=name, outcome="FAIL", reason=reason)
    found = f"{percent(rate.rate)} of {rate.n}"
    if rate.rate < threshold:
        return Condition(name=name, outcome="FAIL", reason=f"{found}, below {percent(threshold)}")
    if rate.low < threshold:
        more = _more_data(rate, rate.rate, threshold)
        reason = (
            f"{found}, but with 95 % confidence only at least {percent(rate.low)}, not {percent(threshold)}; {more}"
        )
        return Condition(name=name, outcome="NEED MORE DATA", reason=reason)
    reason = f"{found}, with 95 % confidence at least {percent(rate.low)}, clears {percent(threshold)}"
    return Condition(name=name, outcome="PASS", reason=reason)


def _more_data(found: Rate, rate: float, threshold: float) -> str:
    needed = needed_trials(rate, threshold)
    if needed is None:
        return "at this rate no amount of data would do"
    # Two turns of one row are two items, and tell less than two rows' would.
    items = math.ceil(needed * found.design_effect)
    return f"at this rate {items} scored items would do, {max(1, items - found.n)} more"


def _answered(name: str, run: ModelRun, max_not_run: float) -> Condition:
    num_not_run, n = run.scores.states.get("not_run", 0), len(run.results)
    reason = f"{num_not_run} of {n} items ended without an answer; allowed: {percent(max_not_run)}"
    is_failed = not n or num_not_run / n > max_not_run
    return Condition(name=name, outcome="FAIL" if is_failed else "PASS", reason=reason)


def _latency(run: ModelRun, limit_ms: float | None) -> list[Condition]:
    if limit_ms is None:
        return []
    p95 = run.scores.latency_p95_ms
    found = "no request was answered" if p95 is None else f"p95 {p95:.0f} ms at concurrency {run.load.concurrency}"
    outcome: Outcome = "PASS" if p95 is not None and p95 <= limit_ms else "FAIL"
    return [Condition(name="latency_p95_ms", outcome=outcome, reason=f"{found}; allowed: {limit_ms:.0f} ms")]


def _against_baseline(evaluation: Evaluation, gate: GateSection) -> list[Condition]:
    if evaluation.baseline is None or evaluation.paired is None:
        reason = "no baseline was scored, so nobody knows whether the model got better"
        return [Condition(name="baseline", outcome="FAIL", reason=reason)] if gate.require_baseline else []
    paired = evaluation.paired
    is_worse = paired.only_baseline > paired.only_candidate and paired.p_value < _WORSE_P_VALUE
    reason = (
        f"of {paired.n} calls both answered, "
        f"{paired.only_candidate} only the candidate got exactly right, {paired.only_baseline} only the baseline "
        f"(p = {paired.p_value:.2g})"
    )
    versus = Condition(name="exact vs baseline", outcome="FAIL" if is_worse else "PASS", reason=reason)
    return [_answered("baseline answered", evaluation.baseline, gate.max_not_run), versus]
