"""The whole job from one recipe: python -m recipes.run RECIPE [section.key=value ...] [--dry-run|--restart|--no-eval]

base -> rows -> parity -> baseline -> train -> merge -> score -> gate, each in a process of its own; with a `dpo`
section (a preference stage on a tuned model) `pairs` comes before `train`. A step whose inputs have not changed is
skipped; after a failure the same command goes on at the step that failed.
Exit status: 0 PASS, 1 FAIL (or a step failed), 2 a fault of the recipe or the data, 3 NEED MORE DATA.
"""

import argparse
import json
import shutil
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.settings import load_settings
from data.user_error import UserError, run_program
from eval.verdict import EXIT_STATUS
from recipes.peak_memory import PeakMemory
from recipes.pipeline import Pipeline, StepError
from recipes.recipe import Recipe
from recipes.steps import Ledger, Step
from serve.server_process import ServerError
from train.arguments import require_known_keys

console = Console()
EVALUATION = ("baseline", "score", "gate")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--dry-run", action="store_true", help="resolve and check the recipe, list the steps, stop")
    parser.add_argument("--restart", action="store_true", help="if it trains, begin anew, without old checkpoints")
    parser.add_argument("--no-eval", action="store_true", help="train and merge, score nothing (exit 0)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwind, so that the step's processes end with us
    recipe = load_settings(args.recipe, args.overrides, Recipe)
    for override in args.overrides:
        console.print(f"overridden: {override}", highlight=False)
    require_known_keys(recipe)
    pipeline, ledger = Pipeline(recipe, restart=args.restart), Ledger(recipe)
    if args.dry_run:
        for step in pipeline.steps():
            console.print(f"{'done' if ledger.is_done(step) else 'to do'}: {step.name}")
        return 0
    write_recipe(recipe)
    steps = [step for step in pipeline.steps() if not (args.no_eval and step.name in EVALUATION)]
    run_steps(steps, ledger)
    console.print(times(ledger))
    if args.no_eval:
        return 0
    outcome = json.loads((recipe.folder / "verdict.json").read_text())["outcome"]
    console.print(f"report: {recipe.folder / 'report.html'}")
    return EXIT_STATUS[outcome]


def run_steps(steps: list[Step], ledger: Ledger) -> None:
    for number, step in enumerate(steps, start=1):
        title = f"[{number}/{len(steps)}] {step.name}"
        if ledger.is_done(step):
            console.print(f"{title}: done before, inputs unchanged", style="dim", markup=False)
            continue
        console.rule(title.replace("[", r"\["))
        start = time.monotonic()
        with PeakMemory() as peak:
            try:
                step.run()
            except (StepError, ServerError) as failure:
                console.print(f"step {step.name} failed ({failure}); the same command goes on from here", style="red")
                is_users = isinstance(failure, StepError) and failure.status == 2
                raise SystemExit(2 if is_users else 1) from failure
        ledger.note(step, time.monotonic() - start, peak.num_bytes)


def write_recipe(recipe: Recipe) -> None:
    """The resolved recipe, which every step's program reads."""
    recipe.folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(recipe.folder).free < 2**30:
        raise UserError("less than 1 GiB free", where=str(recipe.folder), fix="free some disk space")
    (recipe.folder / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n")


def times(ledger: Ledger) -> Table:
    table = Table("step", "seconds", "peak memory, GiB")
    for name, entry in ledger.done.items():
        table.add_row(name, f"{entry['seconds']:.0f}", f"{entry['peak_memory_gib']:.1f}")
    table.add_row("all", f"{sum(entry['seconds'] for entry in ledger.done.values()):.0f}", "")
    return table


if __name__ == "__main__":
    run_program(main)
