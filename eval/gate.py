"""The deploy gate: exit 0 PASS, 1 FAIL, 3 NEED MORE DATA, 2 when there is nothing to judge.

    python -m eval.gate runs/NAME/eval.json [--recipe recipes/NAME.yaml]

Thresholds come from the recipe's `gate` section, else from those stored in eval.json. Writes verdict.json beside it
(for another NAME.json, as the run's baseline.json, NAME-verdict.json); --junit writes it for CI too.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from data.settings import load_settings
from data.user_error import run_program
from eval.evaluation import read_evaluation, write_json
from eval.junit import write_junit
from eval.model_card import write_model_card
from eval.report import write_report
from eval.settings import EvalRecipe
from eval.verdict import EXIT_STATUS, Verdict, judge

_STYLES = {"PASS": "green", "FAIL": "red", "NEED MORE DATA": "yellow"}


def main() -> int:
    args = _parser().parse_args()
    evaluation = read_evaluation(args.evaluation)
    gate = load_settings(args.recipe, [], EvalRecipe).gate if args.recipe else evaluation.gate
    verdict = judge(evaluation, gate)
    _print(verdict)
    name = "verdict.json" if args.evaluation.name == "eval.json" else f"{args.evaluation.stem}-verdict.json"
    write_json(args.evaluation.with_name(name), verdict)
    if args.report:
        write_report(args.report, evaluation, verdict, beside=args.evaluation)
    if args.junit:
        write_junit(args.junit, verdict)
    if args.model_card:
        write_model_card(args.model_card, evaluation, verdict)
    return EXIT_STATUS[verdict.outcome]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.gate", description=__doc__.splitlines()[0])
    parser.add_argument("evaluation", type=Path, metavar="EVAL.JSON", help="what eval.run wrote")
    parser.add_argument("--recipe", type=Path, help="take the thresholds from this recipe's `gate` section")
    parser.add_argument("--report", type=Path, help="also write the HTML report with this verdict")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write the conditions as JUnit XML, for CI")
    parser.add_argument("--model-card", type=Path, metavar="FILE", help="also write a model card in Markdown")
    return parser


def _print(verdict: Verdict) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for condition in verdict.conditions:
        style = _STYLES[condition.outcome]
        console.print(f"[{style}]{condition.outcome:<14}[/] {escape(condition.name)}: {escape(condition.reason)}")
    console.print(f"[bold {_STYLES[verdict.outcome]}]{verdict.outcome}[/]  {escape(verdict.model)}")


if __name__ == "__main__":
    run_program(main)
