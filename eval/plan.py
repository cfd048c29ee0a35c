"""How many held-out rows does a claim need? Asked before the rows are written, and the tokens paid.

    python -m eval.plan --threshold 0.95 --rate 0.97 [--power 0.8] [--eval runs/NAME/eval.json --metric exact]

"exact >= 0.95, when it truly is 0.97, is to be shown by eval.gate in 80 of 100 such runs." An earlier eval.json tells
how alike the turns of a row are and how many a row gives; without it rows of one independent item are assumed.
"""

import argparse
import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.user_error import UserError, run_program
from eval.evaluation import read_evaluation
from eval.intervals import percent
from eval.power import MAX_ITEMS, needed_items
from eval.rates import NO_DATA, Rate
from eval.settings import METRICS

_POWERS = (0.5, 0.8, 0.9, 0.95)


def main() -> None:
    args = _parser().parse_args()
    for name in ("threshold", "rate", "power"):
        if not 0 < getattr(args, name) < 1 and not (name == "rate" and args.rate == 1):
            raise UserError(
                f"--{name} {getattr(args, name):g} is no share", where="command line", fix="between 0 and 1"
            )
    if args.rate <= args.threshold:
        what = f"a rate of {args.rate:g} never shows that it is over {args.threshold:g}"
        raise UserError(what, where="command line", fix="--rate is the true rate you expect, above --threshold")
    seen = read_evaluation(args.eval).candidate.scores.metrics[args.metric] if args.eval else NO_DATA
    Console().print(_table(args.rate, args.threshold, args.power, seen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.plan", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--threshold", type=float, required=True, help="what the gate asks for, such as 0.95")
    add("--rate", type=float, required=True, help="what you believe the model's true rate to be, such as 0.97")
    add("--power", type=float, default=0.8, help="chance that such a model passes (default: 0.8)")
    add("--eval", type=Path, metavar="EVAL.JSON", help="an earlier evaluation: how alike the turns of a row are")
    add("--metric", choices=METRICS, default="exact", help="of that evaluation (default: exact)")
    return parser


def _table(rate: float, threshold: float, power: float, seen: Rate) -> Table:
    per_row = seen.n / seen.num_rows if seen.num_rows else 1.0
    title = f"to show {percent(threshold)} with 95 % confidence when the truth is {percent(rate)}"
    about = f"design effect {seen.design_effect:.2f}, {per_row:.2f} items a row"
    table = Table("chance to pass", "items", "rows", title=title, caption=about)
    for wanted in sorted({*_POWERS, power}):
        items = needed_items(rate, threshold, wanted)
        style = "bold" if wanted == power else ""
        if items is None:
            table.add_row(percent(wanted), f"over {MAX_ITEMS:,}", "", style=style)
            continue
        in_fact = math.ceil(items * seen.design_effect)
        table.add_row(percent(wanted), f"{in_fact:,}", f"{math.ceil(in_fact / per_row):,}", style=style)
    return table


if __name__ == "__main__":
    run_program(main)
