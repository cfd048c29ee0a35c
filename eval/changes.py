"""What changed between two runs on the same items, for eval.compare and the report."""

from collections.abc import Sequence

from eval.paired import Paired, compare, pairs_of
from eval.scores import Result
from eval.settings import METRICS, Metric, Record


class ChangedItem(Record):
    id: str
    why: str
    """What was wrong before it was gained, or is since it was lost."""


class Changes(Record):
    metrics: dict[Metric, Paired]
    gained: list[ChangedItem]
    """Right now, and answered wrongly before."""
    lost: list[ChangedItem]


class Since(Record):
    """Since the last run of the same suite."""

    created: str
    model: str
    changes: Changes


def changes(old: Sequence[Result], new: Sequence[Result]) -> Changes:
    """Both runs are of one suite, in its order."""
    metrics = {name: compare(pairs) for name in METRICS if (pairs := pairs_of(new, old, name))}
    gained, lost = [], []
    for before, now in zip(old, new, strict=True):
        states = before.score.verdict, now.score.verdict
        if "not_run" in states or (states[0] == "right") == (states[1] == "right"):
            continue
        if states[1] == "right":
            gained.append(ChangedItem(id=now.id, why=before.score.why))
        else:
            lost.append(ChangedItem(id=now.id, why=now.score.why))
    return Changes(metrics=metrics, gained=gained, lost=lost)
