"""Run the graders of an OpenAI Evals definition on recorded samples.

    python -m eval.grade DEFINITION.json SAMPLES.jsonl [--out grades.json]

DEFINITION is what `client.evals.create` was given (its `testing_criteria` are read). A line of SAMPLES is
`{"item": {...}, "sample": {...}}`, or with `message` (a chat completion's) in place of `sample`. Exit 0: every grader
passed every line; 1: not so; 2: what was given cannot be graded.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from data.graders.grader import Grade, grade, read_grader, sample_of
from data.row import JsonObject
from data.strict_json import load_json
from data.user_error import UserError, run_program
from data.whole_file import write_whole
from eval.intervals import interval, percent, wilson


def main() -> int:
    args = _arguments()
    definition = _read_json(args.definition)
    criteria = definition.get("testing_criteria") if isinstance(definition, dict) else None
    if not isinstance(criteria, list) or not criteria:
        raise UserError("no `testing_criteria`", where=str(args.definition), fix="give what evals.create was given")
    graders = [read_grader(one, f"{args.definition}: testing_criteria[{i}]") for i, one in enumerate(criteria)]
    rows = _read_samples(args.samples)
    grades = [[grade(grader, item, sample) for grader in graders] for item, sample in rows]
    _report([[of_row[i] for of_row in grades] for i in range(len(graders))])
    if args.out:
        lines = [[one._asdict() for one in of_row] for of_row in grades]
        write_whole(args.out, json.dumps({"grades": lines}, indent=1, ensure_ascii=False) + "\n")
    return 0 if all(one.passed for of_row in grades for one in of_row) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("definition", type=Path, help="an eval's definition, JSON")
    parser.add_argument("samples", type=Path, help="items and samples, JSON lines")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write every grade here, in the order of the lines")
    return parser.parse_args()


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from error


def _read_json(path: Path) -> Any:
    try:
        return load_json(_read_text(path))
    except ValueError as error:
        raise UserError(f"not JSON: {error}", where=str(path)) from error


def _read_samples(path: Path) -> list[tuple[JsonObject, JsonObject]]:
    rows = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        try:
            row = load_json(line)
            rows.append((row["item"], row["sample"] if "sample" in row else sample_of(row["message"])))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fix = 'write {"item": {...}, "sample": {...}}'
            raise UserError(f"no item with a sample: {error}", where=f"{path}:{number}", fix=fix) from error
    if not rows:
        raise UserError("no samples", where=str(path))
    return rows


def _report(by_grader: list[list[Grade]]) -> None:
    table = Table("grader", "passed", "95 % interval", "mean score", "not graded")
    for grades in by_grader:
        k, n = sum(one.passed for one in grades), len(grades)
        low, high = wilson(k, n)
        mean = sum(one.score for one in grades) / n
        # Scores between 0 and 1 vary no more than a yes or no of the same mean: Wilson's interval is on the wide side.
        mean_low, mean_high = wilson(mean * n, n)
        not_graded = [one.why for one in grades if one.why]
        first = f"{len(not_graded)}: {not_graded[0]}" if not_graded else "0"
        table.add_row(
            grades[0].name,
            f"{percent(k / n)} of {n}",
            interval(low, high),
            f"{mean:.3f} ({mean_low:.3f} to {mean_high:.3f})",
            first,
        )
    Console().print(table)


if __name__ == "__main__":
    run_program(main)
