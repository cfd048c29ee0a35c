"""What a played suite came to: one record a row, and the rates with their intervals."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from rich.table import Table

from data.row import JsonObject, Row
from eval.endpoint import Endpoint
from eval.environments.environment import open_environment
from eval.environments.faults import FaultKind, FaultyEnvironment
from eval.environments.outcome import Cause, Ending, Recovery, cause, is_right, recovery, reference
from eval.environments.playing import Conversation
from eval.environments.settings import PlaySection
from eval.intervals import interval, percent, wilson
from eval.rates import NO_DATA, Rate
from eval.settings import Record


class PlayResult(Record):
    id: str
    """FILE:LINE."""
    ending: Ending
    why: str
    """Why it was not played to its end."""
    right: bool
    """The end state is the row's, and the looks that the row takes were taken."""
    cause: Cause | None
    fault: FaultKind | None
    """The fault that occurred; a planned one whose call was never made is None."""
    recovery: Recovery | None
    num_requests: int
    num_calls: int
    messages: list[JsonObject]


class PlayScores(Record):
    end_state: Rate
    """Of the rows that were played, those that ended right."""
    without_fault: Rate
    recovered: Rate
    """Of the rows in which a fault occurred, those that ended right all the same."""
    recoveries: dict[FaultKind, dict[Recovery, int]]
    causes: dict[Cause, int]
    """Of the rows that did not end right, rows not run included."""
    not_run: int
    calls: int
    requests: int


def play_result(item_id: str, row: Row, conversation: Conversation, settings: PlaySection) -> PlayResult:
    """`conversation` was held in a FaultyEnvironment."""
    environment = conversation.environment
    assert isinstance(environment, FaultyEnvironment), environment
    wanted = reference(open_environment(settings.environment, row), row)
    given = conversation.run
    right = is_right(wanted, given)
    fault = environment.fault.kind if environment.fault and environment.has_failed else None
    return PlayResult(
        id=item_id,
        ending=given.ending,
        why=conversation.why,
        right=right,
        cause=None if right else cause(wanted, given),
        fault=fault,
        recovery=recovery(given, right=right) if fault and given.ending != "not_run" else None,
        num_requests=conversation.num_requests,
        num_calls=environment.num_calls,
        messages=conversation.messages,
    )


def play_scores(results: list[PlayResult]) -> PlayScores:
    played = [result for result in results if result.ending != "not_run"]
    faulty = [result for result in played if result.fault]
    kinds = sorted({result.fault for result in faulty if result.fault})
    return PlayScores(
        end_state=rate(result.right for result in played),
        without_fault=rate(result.right for result in played if not result.fault),
        recovered=rate(result.recovery == "retried" for result in faulty),
        recoveries={
            kind: dict(Counter(r.recovery for r in faulty if r.fault == kind and r.recovery)) for kind in kinds
        },
        causes=dict(Counter(result.cause for result in results if result.cause).most_common()),
        not_run=len(results) - len(played),
        calls=sum(result.num_calls for result in results),
        requests=sum(result.num_requests for result in results),
    )


def rate(outcomes: Iterable[bool]) -> Rate:
    met = list(outcomes)
    if not met:
        return NO_DATA
    low, high = wilson(sum(met), len(met))
    return Rate(k=sum(met), n=len(met), rate=sum(met) / len(met), low=low, high=high)


class PlayFile(Record):
    """play.json."""

    schema_version: Literal[1] = 1
    endpoint: Endpoint
    settings: PlaySection
    scores: PlayScores
    results: list[PlayResult]


def play_table(scores: PlayScores, model: str) -> Table:
    table = Table("", model, title="conversations played to their end")
    for label, shown in (
        ("end state right", scores.end_state),
        ("of rows without a fault", scores.without_fault),
        ("of rows with a fault", scores.recovered),
    ):
        table.add_row(label, _rate_text(shown))
    for kind, counts in scores.recoveries.items():
        table.add_row(f"after {kind}", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    table.add_row("why not right", ", ".join(f"{name} {count}" for name, count in scores.causes.items()) or "-")
    table.add_row("not run", str(scores.not_run))
    return table


def _rate_text(shown: Rate) -> str:
    if shown.rate is None or shown.low is None or shown.high is None:
        return "no data"
    return f"{percent(shown.rate)}  {shown.k}/{shown.n}  [{interval(shown.low, shown.high)}]"
