"""What changed from one evaluation to another of the same suite: per metric, and item by item.

    python -m eval.compare runs/OLD/eval.json runs/NEW/eval.json [--json changes.json]

Differences are NEW minus OLD, with 95 % intervals and the p-value of McNemar's exact test, rows as units.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.user_error import UserError, run_program
from eval.changes import Changes, changes
from eval.evaluation import read_evaluation, write_json
from eval.intervals import interval

MAX_LISTED = 20


def main() -> None:
    args = _parser().parse_args()
    old, new = read_evaluation(args.old), read_evaluation(args.new)
    if old.suite.sha256 != new.suite.sha256:
        fix = "score one of them again with the suite of the other"
        raise UserError(f"another suite than that of {args.old}", where=str(args.new), fix=fix)
    found = changes(old.candidate.results, new.candidate.results)
    _print(found, args.old, args.new)
    if args.json:
        write_json(args.json, found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.compare", description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, metavar="OLD.JSON")
    parser.add_argument("new", type=Path, metavar="NEW.JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all of it as JSON")
    return parser


def _print(found: Changes, old: Path, new: Path) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table("metric", "n", "gained", "lost", "difference", "95 % interval", "p", title=f"{new} against {old}")
    for name, paired in found.metrics.items():
        if paired.difference is None or paired.low is None or paired.high is None:
            continue
        difference, ends = f"{100 * paired.difference:+.1f}", interval(paired.low, paired.high)
        counts = (str(paired.n), str(paired.only_candidate), str(paired.only_baseline))
        table.add_row(name, *counts, difference, ends, f"{paired.p_value:.2g}")
    console.print(table)
    for title, items in (("gained", found.gained), ("lost", found.lost)):
        console.print(f"{len(items)} items {title}")
        for item in items[:MAX_LISTED]:
            console.print(f"  {item.id}: {item.why}", markup=False)
        if len(items) > MAX_LISTED:
            console.print(f"  ... and {len(items) - MAX_LISTED} more; --json has all")


if __name__ == "__main__":
    run_program(main)
