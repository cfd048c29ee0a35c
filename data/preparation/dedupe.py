"""De-duplication: of rows that are the same, or nearly, the first stays."""

from pathlib import Path
from typing import Literal, NamedTuple

from data.preparation.entries import Dropped, Entry, StageResult
from data.preparation.likeness import near_pairs
from data.unfinished import NOTHING_KEPT, Unfinished


class Deduplicated(NamedTuple):
    result: StageResult
    first_of: dict[tuple[Path, int], tuple[Path, int]]
    """Key of a row left out -> key of the row that stays for it."""


def count_duplicates(entries: list[Entry]) -> int:
    """Rows that are an earlier one again, those not counted that a weight repeats."""
    distinct = list({entry.key: entry for entry in entries}.values())
    return len(distinct) - len({entry.same for entry in distinct})


def drop_duplicates(
    entries: list[Entry], how: Literal["exact", "near"], unfinished: Unfinished = NOTHING_KEPT
) -> Deduplicated:
    """`exact`: the same messages and tools as rendered. `near`: also the same calls in nearly the same words."""
    firsts: dict[bytes, Entry] = {}
    kept, dropped, first_of = [], [], {}
    for entry in entries:
        first = firsts.setdefault(entry.same, entry)
        if first is entry:
            kept.append(entry)
            continue
        dropped.append(Dropped(entry.where, "duplicate", f"the same row as {first.where}"))
        first_of[entry.key] = first.key
    if how == "exact":
        return Deduplicated(StageResult(kept, dropped), first_of)
    near: set[int] = set()
    near_first: dict[tuple[Path, int], tuple[Path, int]] = {}
    for pair in near_pairs(kept, unfinished, "dedupe"):
        # A row that is like a row left out, but like none that stays, is no copy of anything trained.
        if pair.later in near or pair.first in near:
            continue
        near.add(pair.later)
        one, other = kept[pair.first], kept[pair.later]
        detail = f"the same calls in nearly the same words as {one.where} ({pair.alike:.0%} alike)"
        dropped.append(Dropped(other.where, "near_duplicate", detail))
        near_first[other.key] = one.key
    left = [entry for position, entry in enumerate(kept) if position not in near]
    first_of = {key: near_first.get(first, first) for key, first in first_of.items()}
    return Deduplicated(StageResult(left, dropped), first_of | near_first)


def drop_near_held_out(
    entries: list[Entry], held_out: list[Entry], unfinished: Unfinished = NOTHING_KEPT
) -> StageResult:
    """Training rows that make the same calls in nearly the same words as a held-out row go: its answer is in them."""
    alike: dict[int, str] = {}
    for pair in near_pairs(held_out + entries, unfinished, "held-out", len(held_out)):
        if pair.first < len(held_out) <= pair.later:
            detail = f"the same calls in nearly the same words as {held_out[pair.first].where} ({pair.alike:.0%} alike)"
            alike.setdefault(pair.later - len(held_out), detail)
    dropped = [Dropped(entries[position].where, "near_held_out", detail) for position, detail in alike.items()]
    return StageResult([entry for position, entry in enumerate(entries) if position not in alike], dropped)
