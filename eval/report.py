"""One self-contained HTML page of an evaluation: no network, no script, made to be forwarded and printed."""

from pathlib import Path
from typing import Any

from data.html_page import page_template
from data.whole_file import write_whole
from eval.breakdown import argument_rates, confusion
from eval.cost import CURVE_HEIGHT, CURVE_WIDTH, Prices, api_cost_per_call, break_even_curve
from eval.evaluation import Evaluation, ModelRun
from eval.history import read_history
from eval.intervals import interval, percent
from eval.latency_file import read_latency
from eval.layers.waterfall_file import read_waterfall
from eval.means import means
from eval.rates import NO_DATA
from eval.reliability import PassHatK
from eval.reply import Reply
from eval.scores import scored_metrics
from eval.settings import Metric
from eval.side_by_side import side_by_side
from eval.verdict import Verdict

MAX_FAILURES = 100
MAX_FIXED = 5
MAX_HISTORY = 10

MEANING: dict[Metric, str] = {
    "tool_name": "the right tools were called",
    "exact": "the right tools with exactly the right arguments",
    "fuzzy": "the right tools with nearly the right arguments",
    "free_text": "free-text arguments say nearly the same",
    "bfcl_ast": "the calls are right as BFCL compares them",
    "functional": "the calls, when executed, had the right effect",
    "valid_json": "calls that were attempted could be read",
    "schema_valid": "calls that were attempted fit their tool's schema",
    "should_call": "called a tool where one was needed",
    "should_not_call": "answered in words where no tool was needed",
    "answer": "answered in words after the tools had done their part",
}
WAYS_MEANING = {
    "streamed": "streamed",
    "required": "tool_choice required, where a call is expected",
    "strict": "strict schemas",
    "strict_functions": "strict schemas as client libraries make them of functions: every argument required",
}
_HEADLINES: tuple[Metric, ...] = ("exact", "valid_json", "should_not_call")


def write_report(path: Path, evaluation: Evaluation, verdict: Verdict, beside: Path) -> None:
    """`beside` is where eval.json stands: what other programs have written there is shown too."""
    # Half a surrogate pair in a model's text must not cost the report.
    write_whole(path, render_report(evaluation, verdict, beside), errors="replace")


def render_report(evaluation: Evaluation, verdict: Verdict, beside: Path) -> str:
    """Every text is escaped: what a model wrote may be HTML."""
    template = page_template(
        Path(__file__).with_name("report.html.jinja"),
        {
            "percent": _percent,
            "interval": interval,
            "milliseconds": _milliseconds,
            "points": _points,
            "api_cost": _api_cost,
        },
    )
    return template.render(_view(evaluation, verdict) | _found_beside(beside))


def _view(evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
    candidate, baseline = evaluation.candidate, evaluation.baseline
    failed = [result for result in candidate.results if result.score.failure]
    fixed = _fixed(candidate, baseline) if baseline else []
    return {
        "evaluation": evaluation,
        "verdict": verdict,
        "runs": evaluation.runs,
        "bars": list(zip(evaluation.roles, evaluation.runs, strict=True)),
        "candidate": candidate,
        "baseline": baseline,
        "paired": evaluation.paired,
        "metrics": scored_metrics(*(run.scores for run in evaluation.runs)),
        "headlines": _HEADLINES,
        "meaning": MEANING,
        "thresholds": verdict.gate.thresholds,
        "tools": sorted({tool for run in evaluation.runs for tool in run.scores.tools}),
        "failure_words": _failure_words(evaluation),
        "failures": [side_by_side(result) for result in failed[:MAX_FAILURES]],
        "num_failures": len(failed),
        "fixed": fixed[:MAX_FIXED],
        "num_fixed": len(fixed),
        "no_data": NO_DATA,
        # A line must not end between a number and its sign.
        "sentence": _sentence(evaluation, verdict).replace(" %", "\N{NO-BREAK SPACE}%"),
        "confusion": confusion(candidate.results),
        "arguments": argument_rates(candidate.results),
        "since": evaluation.since,
        "run_means": [means(run.results)._asdict() for run in evaluation.runs],
        "pass_hat_k": _reliability(evaluation),
    }


def _found_beside(path: Path) -> dict[str, Any]:
    """What eval.latency, eval.waterfall and earlier runs have left; None where they have not run."""
    latency, waterfall = path.with_name("latency.json"), path.with_name("waterfall.json")
    found = read_latency(latency) if latency.is_file() else None
    return {
        "latency": found,
        "curve": break_even_curve(found.prices, found.cost) if found and found.prices and found.cost else None,
        "curve_width": CURVE_WIDTH,
        "curve_height": CURVE_HEIGHT,
        "waterfall": read_waterfall(waterfall) if waterfall.is_file() else None,
        "ways_meaning": WAYS_MEANING,
        "history": read_history(path)[-MAX_HISTORY:],
    }


def _reliability(evaluation: Evaluation) -> list[tuple[int, list[PassHatK | None]]]:
    """k, and pass^k of each run."""
    found = [{one.k: one for one in run.scores.pass_hat_k} for run in evaluation.runs]
    return [(k, [of_run.get(k) for of_run in found]) for k in sorted({k for of_run in found for k in of_run})]


def _sentence(evaluation: Evaluation, verdict: Verdict) -> str:
    """Why, for who reads one line."""
    exact = evaluation.candidate.scores.metrics["exact"]
    if verdict.outcome != "PASS":
        condition = next(one for one in verdict.conditions if one.outcome == verdict.outcome)
        opening = "Not to be deployed" if verdict.outcome == "FAIL" else "Not proven yet"
        return f"{opening}: {condition.name.replace('_', ' ')}: {condition.reason}."
    if exact.rate is None or exact.low is None:
        return "It may be deployed: every condition holds."
    before = evaluation.baseline.scores.metrics["exact"].rate if evaluation.baseline else None
    against = f", {percent(before)} before" if before is not None else ""
    return (
        f"It may be deployed: {percent(exact.rate)} of its calls are exactly right{against}; "
        f"with 95 % confidence at least {percent(exact.low)}."
    )


def _fixed(candidate: ModelRun, baseline: ModelRun) -> list[Any]:
    pairs = zip(candidate.results, baseline.results, strict=True)
    wrong = ("wrong", "unreadable")
    return [side_by_side(old) for new, old in pairs if new.score.verdict == "right" and old.score.verdict in wrong]


def _failure_words(evaluation: Evaluation) -> list[tuple[str, list[int]]]:
    """Word and its count in each run; the candidate's commonest first."""
    counts = [run.scores.failures for run in evaluation.runs]
    now = evaluation.candidate.scores.failures
    words = {word for run in counts for word in run}
    words_in_order = sorted(words, key=lambda word: (-now.get(word, 0), -sum(run.get(word, 0) for run in counts), word))
    return [(word, [run.get(word, 0) for run in counts]) for word in words_in_order]


def _percent(share: float | None) -> str:
    return "not run" if share is None else percent(share)


def _points(share: float) -> str:
    """A difference of two rates."""
    return f"{100 * share:+.1f}"


def _api_cost(run: ModelRun, prices: Prices) -> str:
    num_answered = sum(isinstance(result.answer, Reply) for result in run.results)
    if not num_answered or not run.scores.prompt_tokens:
        return "not told"
    tokens = run.scores.prompt_tokens / num_answered, run.scores.completion_tokens / num_answered
    return f"{1000 * api_cost_per_call(prices, *tokens):.3f}"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "not run"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"
