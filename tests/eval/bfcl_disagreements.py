"""Asks bfcl-eval's checker and ours about the same answers, right and perturbed, and tells every disagreement.

python -m tests.eval.bfcl_disagreements bfcl-disagreements.md [--seed 1]
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice, permutations
from pathlib import Path
from typing import Any, NamedTuple

from data.conversation import Call
from data.row import JsonObject
from eval.bfcl import CATEGORIES, bfcl_items, read_category
from eval.comparison import Comparer, properties
from eval.item import Item
from eval.matching import BFCL_COMPARISON, match_calls
from eval.normalisers import normalised
from tests.eval.bfcl_checker import Checker
from tests.eval.perturbed_calls import perturbed

CALL_CATEGORIES = tuple(category for category in CATEGORIES if not category.endswith("relevance"))
EXPLANATIONS = {
    "whole number": "1.0 for an integer: in JSON, and for JSON Schema's `integer`, 1.0 is 1; there its type is wrong.",
    "unanswerable": (
        "There no answer counts as right, or none with an optional argument: the answers name an argument that the "
        "schema lacks, leave out a required one or are empty lists, or Java source does not read back. Here any does."
    ),
    "pairing": (
        "Parallel calls are paired first come, first served there, which can give away the only fit of a later call: "
        "the verdict follows the order of the calls. Here the assignment is the best one."
    ),
    "other type": (
        "Text for an argument of another type (a variable's name, `dontcare`) is compared as it stands there; here "
        "like any text: without case and the signs ` ,./-_*^`."
    ),
    "source text": (
        'Java and JavaScript: there every argument is source text, so that "true" is true and 30 is not 30.0; here '
        "arguments are JSON of the declared type, or the name of a variable."
    ),
    "mark of absence": (
        'The "" that says that an argument may be left out is there also a value: an empty list, an empty text for a '
        "number. Here it is one for texts only."
    ),
}


class Case(NamedTuple):
    category: str
    item: Item
    change: str
    calls: list[Call]
    ours: bool
    theirs: bool
    why: str
    """Of EXPLANATIONS; "" when both say the same, or when nothing explains it."""


def cases(category: str, seed: int, limit: int | None = None) -> Iterator[Case]:
    draw = random.Random(f"{seed}{category}")
    rows, truths = read_category(category)
    for item, row in islice(zip(bfcl_items(category), rows, strict=True), limit):
        checker = Checker(category, row, truths[row["id"]])
        comparer = Comparer(item.tools, BFCL_COMPARISON)
        answers = list(perturbed(item, draw))
        is_answerable = any(checker.is_valid(calls) for change, calls in answers if change.startswith("right"))
        for change, calls in answers:
            ours = bool(calls) and all(call.is_right for call in match_calls(comparer, item.expected_calls, calls))
            theirs = checker.is_valid(calls)
            why = "" if ours == theirs else _explanation(checker, item, calls, ours=ours, is_answerable=is_answerable)
            yield Case(category, item, change, calls, ours, theirs, why)


def _explanation(checker: Checker, item: Item, calls: list[Call], *, ours: bool, is_answerable: bool) -> str:
    """Each is tried out: with that one thing taken away, does the checker say what we say?"""
    if not ours:
        full = [Call(call.name, {k: v for k, v in call.arguments.items() if v not in ("", [])}) for call in calls]
        if checker.takes_code:
            return "source text"
        return "mark of absence" if full != calls and checker.is_valid(full) else ""
    if not is_answerable:
        return "unanswerable"
    whole = [Call(call.name, _whole(call.arguments)) for call in calls]
    if checker.is_valid(whole):
        return "whole number"
    in_schema = [Call(call.name, _in_schema(item, call)) for call in whole]
    if in_schema != whole and checker.is_valid(in_schema):
        return "unanswerable"
    as_written = [Call(call.name, _as_written(item, call)) for call in whole]
    if as_written != whole and checker.is_valid(as_written):
        return "other type"
    orders = islice(permutations(whole), 2000)
    if any(checker.is_valid(list(order)) for order in orders):
        return "pairing"
    return "source text" if checker.takes_code else ""


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def _in_schema(item: Item, call: Call) -> JsonObject:
    known = properties(item.tools.get(call.name))
    return {key: value for key, value in call.arguments.items() if key in known}


def _as_written(item: Item, call: Call) -> JsonObject:
    """Each text in the spelling of the answer that it equals."""
    spelt = {
        (key, normalised(value, ["bfcl"])): value
        for expected in item.expected_calls
        for key, choice in expected.allowed_arguments().items()
        for value in choice.values
        if isinstance(value, str)
    }
    return {
        key: spelt.get((key, normalised(value, ["bfcl"])), value) if isinstance(value, str) else value
        for key, value in call.arguments.items()
    }


def page(found: list[Case], command: str) -> str:
    apart = [case for case in found if case.ours != case.theirs]
    whys = Counter(case.why for case in apart)
    same, num_items = len(found) - len(apart), len({case.item.id for case in found})
    lines = [
        "# The matcher against bfcl-eval's checker",
        "",
        f"Made by `{command}` with bfcl-eval 2026.3.23:",
        f"{len(found):,} answers to the {num_items:,} items that have lists of allowed values, each made from",
        "those values by one change. The metric `bfcl_ast` and the checker's verdict on the same calls are the same",
        f"for {same:,} ({100 * same / len(found):.2f} %) and differ for {len(apart):,}; {whys['']} of these have no",
        "reason below.",
        "",
        "| reason | answers | right here only | right there only | items | |",
        "|---|---|---|---|---|---|",
    ]
    for why, words in EXPLANATIONS.items():
        of = [case for case in apart if case.why == why]
        counts = [len(of), sum(case.ours for case in of), sum(case.theirs for case in of), len({c.item.id for c in of})]
        lines.append(_table_row(why, counts, words))
    head = ["change", "answers", "right in both", "wrong in both", "right here only", "right there only"]
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for change in dict.fromkeys(case.change for case in found):
        of = Counter((case.ours, case.theirs) for case in found if case.change == change)
        lines.append(
            _table_row(change, [of.total(), of[True, True], of[False, False], of[True, False], of[False, True]])
        )
    return "\n".join([*lines, "", "## Every disagreement", "", *_lines(apart)]) + "\n"


def _table_row(name: str, counts: list[int], words: str | None = None) -> str:
    return "| " + " | ".join([name, *(f"{count:,}" for count in counts), *([words] if words else [])]) + " |"


def _grouped(apart: list[Case]) -> dict[tuple[str, str, bool], list[str]]:
    """Reason, change and whether it is right here -> items."""
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for case in sorted(apart, key=lambda case: (case.why, case.change)):
        groups.setdefault((case.why, case.change, case.ours), []).append(case.item.id.removeprefix("bfcl:"))
    return groups


def _lines(apart: list[Case]) -> list[str]:
    return [
        f"- **{why or 'UNEXPLAINED'}**, {change}, right {'here' if ours else 'there'} only: {', '.join(items)}"
        for (why, change, ours), items in _grouped(apart).items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found = [case for category in CALL_CATEGORIES for case in cases(category, args.seed)]
    args.out.write_text(page(found, f"python -m tests.eval.bfcl_disagreements {args.out}"))
    unexplained = [case for case in found if case.ours != case.theirs and not case.why]
    for case in unexplained:
        print(case.item.id, case.change, case.ours, json.dumps(case.calls)[:600])
    print(f"{len(found)} answers, {len(unexplained)} unexplained; wrote {args.out}")


if __name__ == "__main__":
    main()
