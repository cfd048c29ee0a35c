"""From results to rates: every rate with its n and its 95 % interval, and no rate at all without data."""

from collections import Counter
from collections.abc import Iterable

from eval.expected import ExpectedCall
from eval.functional import message_text
from eval.intervals import percentile
from eval.item import KINDS, Item, Kind
from eval.matching import Failure, Score, Verdict, score
from eval.rates import Outcome, Rate, rate_of
from eval.reliability import PassHatK, Tries, pass_hat_k
from eval.reply import NotRun, Reply
from eval.settings import METRICS, Metric, Record


class Result(Record):
    """All of one item: what was asked last, what was expected, what came back as it came, and the verdict on it."""

    id: str
    kind: Kind
    request: str
    """What the user said last, and what a tool has answered since."""
    expected_calls: list[ExpectedCall]
    expected_text: str
    answer: Reply | NotRun
    score: Score
    sample: int = 0
    """1 to n where the item was asked n times, else 0."""

    @property
    def item_id(self) -> str:
        """The same for every sample of an item."""
        return self.id.removesuffix(f"~{self.sample}")

    @property
    def row_id(self) -> str:
        """The same for every turn of a conversation."""
        return self.item_id.rsplit("#", 1)[0]


class Scores(Record):
    metrics: dict[Metric, Rate]
    tools: dict[str, Rate]
    """Exact, for the items that expect a call of the tool."""
    kinds: dict[Kind, Rate]
    """Verdict `right`, by the kind of item."""
    pass_hat_k: list[PassHatK] = []
    """Verdict `right` in k tries of k; none where no item was asked twice."""
    states: dict[Verdict, int]
    failures: dict[Failure, int]
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    prompt_tokens: int
    completion_tokens: int
    num_cut_off: int
    """Replies that ended at the token limit."""


def scored_metrics(*runs: Scores) -> list[Metric]:
    """Those that at least one of the runs has data for."""
    return [name for name in METRICS if any(run.metrics[name].n for run in runs)]


def result(item: Item, answer: Reply | NotRun, fuzzy_threshold: float) -> Result:
    return Result(
        id=item.id,
        kind=item.kind,
        request=_request_text(item),
        expected_calls=item.expected_calls,
        expected_text=item.expected_text,
        answer=answer,
        score=score(item, answer, fuzzy_threshold),
        sample=item.sample,
    )


def aggregate(results: list[Result]) -> Scores:
    scores = [result.score for result in results]
    replies = [result.answer for result in results if isinstance(result.answer, Reply)]
    latencies_ms = [1000 * reply.latency_s for reply in replies]
    return Scores(
        metrics={
            name: _rate((r, r.score.metrics[name]) for r in results if name in r.score.metrics) for name in METRICS
        },
        tools=_tool_rates(results),
        kinds={kind: _rate((r, _is_right(r)) for r in results if _has_run(r, kind)) for kind in KINDS},
        pass_hat_k=pass_hat_k(_tries(results)),
        states=Counter(score.verdict for score in scores),
        failures=dict(Counter(score.failure for score in scores if score.failure).most_common()),
        latency_p50_ms=percentile(latencies_ms, 0.50),
        latency_p95_ms=percentile(latencies_ms, 0.95),
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        num_cut_off=sum(reply.finish_reason == "length" for reply in replies),
    )


def _request_text(item: Item) -> str:
    last_ask = max((i for i, message in enumerate(item.messages) if message["role"] == "user"), default=0)
    shown = {last_ask: item.messages[last_ask], len(item.messages) - 1: item.messages[-1]}
    return "\n".join(f"{message['role']}: {message_text(message)}" for message in shown.values())


def _rate(outcomes: Iterable[tuple[Result, bool]]) -> Rate:
    return rate_of(Outcome(result.row_id, result.item_id, is_met) for result, is_met in outcomes)


def _tries(results: list[Result]) -> list[Tries]:
    """The outcomes of each item's samples that were answered."""
    tries: dict[str, Tries] = {}
    for result in results:
        if result.score.verdict != "not_run":
            tries.setdefault(result.item_id, Tries(result.row_id, [])).outcomes.append(_is_right(result))
    return list(tries.values())


def _tool_rates(results: list[Result]) -> dict[str, Rate]:
    outcomes: dict[str, list[tuple[Result, bool]]] = {}
    for result in results:
        if "exact" in result.score.metrics:
            for name in sorted({call.name for call in result.expected_calls}):
                outcomes.setdefault(name, []).append((result, result.score.metrics["exact"]))
    return {name: _rate(outcomes[name]) for name in sorted(outcomes)}


def _has_run(result: Result, kind: Kind) -> bool:
    return result.kind == kind and result.score.verdict != "not_run"


def _is_right(result: Result) -> bool:
    return result.score.verdict == "right"
