"""Which sample of a request becomes its row, and what that proves.

* `agree`: more than half of all samples make the same calls, turn by turn. Within a turn order is free, 1 is 1.0, and
  turns with a failed call do not count. This says that the teacher is sure (self-consistency, Wang et al. 2022,
  arXiv:2203.11171), not that it is right: what it always gets wrong, it agrees on. One sample agrees with itself.
* `executed`: on different ways, more than half of the samples have brought the environment to the same new state
  without a failed call. This says that the calls run and that the teacher is sure of what is to be reached, not that
  the user wanted it. Mock tools change nothing, so with them there is no such proof.

Neither judges the final text. Every sample has passed the rules of `data.rules` before it counts.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from data.conversation import Call
from data.distillation.sample import Sample

Criterion = Literal["agree", "executed"]


class Selection(NamedTuple):
    kept: Sample | None
    criterion: Criterion | None
    left: list[Sample]
    """All others, each with its cause: `spare` would have done as well, `disagrees` is in the minority or has none."""

    @property
    def is_final(self) -> bool:
        """Are all samples there? A row is never chosen before, so that none is taken back later."""
        return all(sample.cause != "unanswered" for sample in self.left)


def choose(samples: list[Sample]) -> Selection:
    """The first sample of the majority; None where there is none, or samples are still to be played."""
    if any(sample.cause == "unanswered" for sample in samples):
        return Selection(None, None, samples)
    criteria: dict[Criterion, Callable[[Sample], str | None]] = {"agree": _calls_text, "executed": _state_text}
    for criterion, text_of in criteria.items():
        if majority := _majority(samples, text_of):
            return Selection(majority[0], criterion, _left(samples, majority))
    return Selection(None, None, _left(samples, []))


def canonical(value: Any) -> Any:
    """Equal for values that are the same JSON: 1.0 becomes 1; true stays true."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _majority(samples: list[Sample], text_of: Callable[[Sample], str | None]) -> list[Sample]:
    """The sound samples of the text that more than half of all samples have; faulty ones count against it."""
    texts = {sample.number: text_of(sample) for sample in samples if not sample.cause}
    for text, count in Counter(texts.values()).items():
        if text is not None and 2 * count > len(samples):
            return [sample for sample in samples if texts.get(sample.number) == text]
    return []


def _calls_text(sample: Sample) -> str:
    return json.dumps([sorted(map(_call_text, turn)) for turn in sample.calls])


def _call_text(call: Call) -> str:
    return json.dumps([call.name, canonical(call.arguments)], sort_keys=True)


def _state_text(sample: Sample) -> str | None:
    return None if sample.end_state is None else json.dumps(canonical(sample.end_state), sort_keys=True)


def _left(samples: list[Sample], majority: list[Sample]) -> list[Sample]:
    left = []
    for sample in samples:
        if majority and sample is majority[0]:
            continue
        if not sample.cause:
            cause, why = "disagrees", "no majority made the same calls or reached the same state"
            if sample in majority:
                cause, why = "spare", f"agrees with sample {majority[0].number}, which is kept"
            elif majority:
                why = f"the majority did otherwise, as sample {majority[0].number}"
            sample = sample._replace(cause=cause, why=why)
        left.append(sample)
    return left
