"""A model card in Markdown: what the model is, what it was measured on, the figures, and what they do not say."""

from pathlib import Path

from data.whole_file import write_whole
from eval.evaluation import Evaluation, ModelRun
from eval.intervals import interval, percent
from eval.rates import Rate
from eval.reliability import PassHatK
from eval.scores import scored_metrics
from eval.verdict import Verdict


def write_model_card(path: Path, evaluation: Evaluation, verdict: Verdict) -> None:
    """`data_card.md` of the run's rows is taken in, where it lies."""
    data_card = path.parent / "rows" / "data_card.md"
    data = data_card.read_text() if data_card.is_file() else ""
    write_whole(path, model_card(evaluation, verdict, data), errors="replace")


def model_card(evaluation: Evaluation, verdict: Verdict, data_card: str) -> str:
    run = evaluation.candidate
    facts = run.endpoint.model_facts
    parts = [
        f"# {run.endpoint.model}",
        f"**{verdict.outcome}** by `eval.gate`, {evaluation.created}.",
        "## Model",
        "\n".join(f"- {key}: `{value}`" for key, value in facts.items()) or "- the endpoint tells nothing about it",
        "- licence: the base model's, and what the licences of the training rows add; check both before passing it on",
        "## Figures",
        f"{evaluation.suite.num_items} assistant turns of {evaluation.suite.num_rows} held-out rows; 95 % intervals.",
        _figures(evaluation),
        "## Conditions",
        "\n".join(f"- {condition.outcome} {condition.name}: {condition.reason}" for condition in verdict.conditions),
        "## Limits",
        _limits(evaluation, run),
        "## Measured with",
        f"```\n{evaluation.command}\n```",
        f"suite sha256 `{evaluation.suite.sha256}`",
    ]
    if data_card:
        parts += ["## Training data", _below(data_card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(evaluation: Evaluation) -> str:
    runs = evaluation.runs
    head = [f"| metric | {' | '.join(run.endpoint.model for run in runs)} |", "|---" * (len(runs) + 1) + "|"]
    names = scored_metrics(*(run.scores for run in runs))
    lines = [f"| {name} | {' | '.join(_rate(run.scores.metrics[name]) for run in runs)} |" for name in names]
    for k in range(1, 1 + max(len(run.scores.pass_hat_k) for run in runs)):
        found = [[_pass(one) for one in run.scores.pass_hat_k if one.k == k] for run in runs]
        lines.append(f"| pass^{k} | {' | '.join(cells[0] if cells else 'not run' for cells in found)} |")
    latencies = (
        f"{run.scores.latency_p95_ms:,.0f} ms, {run.load.concurrency} at a time" if run.scores.latency_p95_ms else ""
        for run in runs
    )
    return "\n".join([*head, *lines, f"| latency p95 | {' | '.join(latencies)} |"])


def _pass(one: PassHatK) -> str:
    return f"{percent(one.rate)} of {one.n} items ({interval(one.low, one.high)})"


def _rate(rate: Rate) -> str:
    if rate.rate is None or rate.low is None or rate.high is None:
        return "no data"
    return f"{percent(rate.rate)} of {rate.n} ({interval(rate.low, rate.high)})"


def _limits(evaluation: Evaluation, run: ModelRun) -> str:
    tools = ", ".join(f"`{name}`" for name in run.scores.tools) or "none"
    limits = [
        f"Measured on these tools only: {tools}.",
        "Each turn was asked with the true history before it; a conversation that goes wrong early was not played on.",
        f"Latency is that of {run.load.concurrency} requests at a time on the machine that was measured.",
    ]
    if not evaluation.suite.kinds.get("no_call"):
        limits.append("No held-out row needs no tool, so nothing is known of calls where none is wanted.")
    return "\n".join(f"- {limit}" for limit in limits)


def _below(card: str) -> str:
    """Its headings, two levels down."""
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in card.strip().splitlines())
