"""The terminal's view of an evaluation: candidate beside baseline, with n and interval."""

from rich.table import Table

from eval.evaluation import Evaluation, ModelRun
from eval.intervals import interval, percent
from eval.means import Mean, means
from eval.rates import Rate
from eval.scores import scored_metrics


def score_table(evaluation: Evaluation) -> Table:
    runs = evaluation.runs
    table = Table(title=f"{evaluation.suite.num_items} items of {evaluation.suite.num_rows} rows")
    table.add_column("metric")
    for run, role in zip(runs, evaluation.roles, strict=True):
        table.add_column(f"{role}\n{run.endpoint.model}", justify="right")
    for name in scored_metrics(*(run.scores for run in runs)):
        table.add_row(name, *(_rate_text(run.scores.metrics[name]) for run in runs))
    table.add_section()
    for k in range(1, 1 + max(len(run.scores.pass_hat_k) for run in runs)):
        table.add_row(f"pass^{k}", *(_pass_text(run, k) for run in runs))
    facts = [_facts(run) for run in runs]
    for label in facts[0]:
        table.add_row(label, *(of_run[label] for of_run in facts))
    return table


def _rate_text(rate: Rate) -> str:
    if rate.rate is None or rate.low is None or rate.high is None:
        return "not run"
    return f"{percent(rate.rate)}  {rate.k}/{rate.n}  [{interval(rate.low, rate.high)}]"


def _pass_text(run: ModelRun, k: int) -> str:
    found = [one for one in run.scores.pass_hat_k if one.k == k]
    if not found:
        return "not run"
    one = found[0]
    return f"{percent(one.rate)} of {one.n} items  [{interval(one.low, one.high)}]"


def _facts(run: ModelRun) -> dict[str, str]:
    scores, mean = run.scores, means(run.results)
    p50, p95 = scores.latency_p50_ms, scores.latency_p95_ms
    return {
        "latency p50 / p95": "not run" if p50 is None or p95 is None else f"{p50:.0f} / {p95:.0f} ms",
        "latency mean, ms": mean_text(mean.latency_ms),
        "tokens in / out": f"{scores.prompt_tokens} / {scores.completion_tokens}",
        "tokens out a turn": mean_text(mean.completion_tokens),
        "not run": str(scores.states.get("not_run", 0)),
        "unreadable": str(scores.states.get("unreadable", 0)),
    }


def mean_text(found: Mean | None) -> str:
    return "not run" if found is None else f"{found.value:,.1f}  [{found.low:,.1f} to {found.high:,.1f}]"
