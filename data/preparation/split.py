"""Held-out rows out of the training rows, so that nothing of them is left to be trained on.

Rows are put into groups that stay on one side: copies and near copies always; with `by: template` the rows of one
request template; with `by: tool` the rows that call one tool, and so, through rows that call several, every row that is
linked to them. Whole groups are then drawn until the wanted number of rows is reached, so no row is lost for mixing
two sides. A training row that only lists a held-out tool keeps its other tools; it goes when it has none left.
"""

import random
from collections.abc import Iterable
from typing import NamedTuple

from data.near_duplicates import Pair, hash64
from data.preparation.called_tools import called_identities, called_names, without_tools
from data.preparation.entries import Dropped, Entry
from data.preparation.groups import Groups
from data.preparation.likeness import near_pairs
from data.preparation.request_template import request_template
from data.preparation.settings import Split, count_of
from data.row import JsonObject
from data.unfinished import NOTHING_KEPT, Unfinished
from data.user_error import UserError

Group = list[int]
"""Positions of rows that stay together."""
Wanted = dict[str, int]
"""Rows of each held-out side, `test` and `validation`."""


class Sides(NamedTuple):
    train: list[Entry]
    validation: list[Entry]
    test: list[Entry]
    dropped: list[Dropped]
    notes: JsonObject


def split_rows(
    entries: list[Entry], split: Split, fixed: set[str], seed: int, unfinished: Unfinished = NOTHING_KEPT
) -> Sides:
    """Take test and validation rows out of `entries`; each side keeps their order.

    `fixed` sources stay in training, and with them what is like them. Raises UserError where no row can be held out.
    """
    num_free = sum(entry.source not in fixed for entry in entries)
    wanted = {"test": count_of(split.test, num_free), "validation": count_of(split.validation, num_free)}
    if sum(wanted.values()) >= num_free:
        what = f"{sum(wanted.values())} rows to be held out of {num_free}"
        raise UserError(what, where="data.split", fix="ask for fewer rows")
    groups = _groups(entries, split, near_pairs(entries, unfinished, "split"))
    free = [group for group in groups if not any(entries[position].source in fixed for position in group)]
    rng = random.Random(f"{seed} split")
    chosen = _draw_by_tool(entries, free, wanted, rng) if split.by == "tool" else _draw(free, wanted, rng)
    for side, count in wanted.items():
        if count and not chosen[side]:
            raise _none_to_hold_out(side, split, max(map(len, free), default=0), num_free)
    held_out = chosen["test"] | chosen["validation"]
    sides = Sides(
        train=[entry for position, entry in enumerate(entries) if position not in held_out],
        validation=[entries[position] for position in sorted(chosen["validation"])],
        test=[entries[position] for position in sorted(chosen["test"])],
        dropped=[],
        notes={"by": split.by, "groups": len(groups), "wanted": wanted},
    )
    return _without_held_out_tools(sides) if split.by == "tool" else sides


def _groups(entries: list[Entry], split: Split, near: Iterable[Pair]) -> list[Group]:
    groups = Groups(len(entries))
    groups.join_equal([entry.same] for entry in entries)
    for pair in near:
        groups.join(pair.first, pair.later)
    if split.by == "template":
        groups.join_equal([hash64(request_template(entry.row).encode())] for entry in entries)
    elif split.by == "tool":
        groups.join_equal(called_identities(entry.row) for entry in entries)
    return groups.members()


def _draw(groups: list[Group], wanted: Wanted, rng: random.Random) -> dict[str, set[int]]:
    """Groups in random order, each to the first side that has room for all of it."""
    chosen: dict[str, set[int]] = {side: set() for side in wanted}
    for group in rng.sample(groups, len(groups)):
        for side, count in wanted.items():
            if len(chosen[side]) + len(group) <= count:
                chosen[side].update(group)
                break
    return chosen


def _draw_by_tool(entries: list[Entry], groups: list[Group], wanted: Wanted, rng: random.Random) -> dict[str, set[int]]:
    """Rows without a call hold out no tool: they come in only as often as they stand among the rows."""
    calling: list[Group] = []
    others: list[Group] = []
    for group in groups:
        calls = any(called_names(entries[position].row) for position in group)
        (calling if calls else others).append(group)
    share = sum(len(group) for group in calling) / max(1, sum(len(group) for group in groups))
    with_calls = {side: max(1, round(count * share)) if count else 0 for side, count in wanted.items()}
    chosen = _draw(calling, with_calls, rng)
    rest = _draw(others, {side: count - with_calls[side] for side, count in wanted.items()}, rng)
    return {side: rows | rest[side] if rows else rows for side, rows in chosen.items()}


def _none_to_hold_out(side: str, split: Split, largest: int, num_free: int) -> UserError:
    kinds = {"row": "copies of each other", "tool": "linked by the tools they call", "template": "of one template"}
    return UserError(
        f"no {side} rows can be held out by {split.by}: {largest} of {num_free} rows are {kinds[split.by]}",
        where=f"data.split.{side}",
        fix="name data.test files" if split.by == "row" else "split by row, or name data.test files",
    )


def _without_held_out_tools(sides: Sides) -> Sides:
    held_out: set[str] = set().union(*(called_identities(entry.row) for entry in (*sides.test, *sides.validation)))
    train, dropped, num_changed = [], [], 0
    for entry in sides.train:
        less = without_tools(entry, held_out)
        if entry.row.tools and not less.row.tools:
            dropped.append(Dropped(entry.where, "held_out_tool", "lists no other tools than held-out ones"))
        else:
            num_changed += less is not entry
            train.append(less)
    return sides._replace(
        train=train, dropped=dropped, notes=sides.notes | {"rows_with_held_out_tools_unlisted": num_changed}
    )
