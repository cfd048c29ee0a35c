"""Augmentation: training rows changed so that what they teach stays true, each change on its share of the rows.

A changed row must pass the row rules, render and fit like any other; where it does not, the row stays as it was. All
but `drop_called_tool` change rows in place, one after the other, so that a row may be changed in several ways.
"""

import random
from collections.abc import Callable
from functools import partial

from data.preparation.argument_names import rename_arguments
from data.preparation.entries import Entry, StageResult
from data.preparation.lengths import Ruler
from data.preparation.missing_tool import drop_called_tool
from data.preparation.settings import Augment
from data.preparation.strict_schemas import make_strict
from data.preparation.tool_lists import OtherTools, add_distractors, shorten_descriptions, shuffle_tools
from data.preparation.tool_names import rename_tools
from data.reading import parse_row
from data.row import JsonObject, Row
from data.rules.severities import RuleSeverities
from data.user_error import UserError

Change = Callable[[Row, random.Random], Row | None]
"""None where the row cannot be changed so without risk to its truth."""


def augment(
    entries: list[Entry], others: OtherTools, settings: Augment, rules: RuleSeverities, ruler: Ruler, seed: int
) -> StageResult:
    """The entries with those changed that were drawn, and after them the rows that were added.

    `others` has the tools that rows may be given.
    """
    kept, added = list(entries), []
    notes: JsonObject = {}
    changes: dict[str, Change] = {
        "distractor_tools": partial(add_distractors, others),
        "shorten_descriptions": shorten_descriptions,
        "rename_tools": partial(rename_tools, others.all_names),
        "rename_arguments": rename_arguments,
        "strict_tools": make_strict,
        "shuffle_tools": shuffle_tools,
        "drop_called_tool": partial(drop_called_tool, others),
    }
    for kind, change in changes.items():
        if not (wanted := round(getattr(settings, kind) * len(entries))):
            continue
        is_added = kind == "drop_called_tool"
        rng = random.Random(f"{seed} {kind}")
        num_changed = num_impossible = num_refused = 0
        for position in rng.sample(range(len(entries)), len(entries)):
            if num_changed == wanted:
                break
            entry = entries[position] if is_added else kept[position]
            if (row := change(entry.row, rng)) is None:
                num_impossible += 1
            elif (changed := _checked(entry.with_row(row), rules, ruler)) is None:
                num_refused += 1
            else:
                num_changed += 1
                if is_added:
                    added.append(changed)
                else:
                    kept[position] = changed
        notes[kind] = {
            "wanted": wanted, "rows": num_changed, "impossible": num_impossible, "refused": num_refused,
        }  # fmt: skip
    return StageResult(kept + added, [], notes)


def _checked(entry: Entry, rules: RuleSeverities, ruler: Ruler) -> Entry | None:
    """The entry with its new length, or None where it breaks a rule, cannot be rendered or is too long."""
    line = entry.row.model_dump_json(exclude_unset=True)
    if any(finding.is_error for finding in parse_row(*entry.key, line, rules)[1]):
        return None
    try:
        measured = ruler.measured(entry)
    except UserError:
        return None
    return measured if ruler.fits(measured) else None
