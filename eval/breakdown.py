"""Where calls go wrong: which tool instead of which, and which arguments."""

from collections import Counter, defaultdict
from typing import NamedTuple

from data.conversation import Call
from eval.json_values import same_json
from eval.matching import pair_calls
from eval.rates import Outcome, Rate, rate_of
from eval.reply import Reply, parse_arguments
from eval.scores import Result

NO_CALL, UNREADABLE = "no call", "unreadable"


class Confusion(NamedTuple):
    """Rows are expected tools, columns what was called in their place."""

    expected: list[str]
    given: list[str]
    counts: dict[tuple[str, str], int]

    @property
    def most(self) -> int:
        return max(self.counts.values(), default=1)


class ArgumentRate(NamedTuple):
    tool: str
    argument: str
    rate: Rate
    """Of the calls of the right tool that were expected to have it: how many had it, equal as JSON."""


def confusion(results: list[Result]) -> Confusion:
    """Calls side by side, as a reader would pair them; turns that were not run are in none."""
    counts: Counter[tuple[str, str]] = Counter()
    for result in results:
        if result.score.verdict == "not_run" or not (result.expected_calls or result.kind == "no_call"):
            continue
        for want, got in _pairs(result):
            missing = UNREADABLE if result.score.verdict == "unreadable" else NO_CALL
            counts[want.name if want else NO_CALL, got.name if got else missing] += 1
    expected = sorted({want for want, _ in counts}, key=_last)
    return Confusion(expected, sorted({got for _, got in counts}, key=_last), dict(counts))


def argument_rates(results: list[Result]) -> list[ArgumentRate]:
    """The worst first."""
    outcomes: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for result in results:
        for want, got in _pairs(result) if isinstance(result.answer, Reply) else []:
            if not want or not got or want.name != got.name:
                continue
            for key, value in want.arguments.items():
                is_met = key in got.arguments and same_json(value, got.arguments[key])
                outcomes[want.name, key].append(Outcome(result.row_id, result.item_id, is_met))
    rates = [ArgumentRate(tool, key, rate_of(met)) for (tool, key), met in outcomes.items()]
    return sorted(rates, key=lambda found: (found.rate.rate, -found.rate.n, found.tool, found.argument))


def _pairs(result: Result) -> list[tuple[Call | None, Call | None]]:
    expected = [Call(call.name, call.arguments) for call in result.expected_calls]
    pairs = pair_calls(expected, _readable_calls(result))
    return pairs or [(None, None)]


def _readable_calls(result: Result) -> list[Call]:
    calls = []
    for call in result.answer.calls if isinstance(result.answer, Reply) else []:
        try:
            calls.append(Call(call.name, parse_arguments(call.arguments)))
        except (ValueError, RecursionError):
            continue  # counted as unreadable, by the verdict of its item
    return calls


def _last(name: str) -> tuple[bool, str]:
    """What is no tool comes after the tools."""
    return name in (NO_CALL, UNREADABLE), name
