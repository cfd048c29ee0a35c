"""Training speed and memory beside TRL, on the same rows, model and device:

    python -m train.bench FILE.jsonl... --model BASE [--narrow FILE.jsonl] [--rows-per-step N] [--steps N] [--json OUT]

Ours, TRL with padding, and TRL with packing (`bfd`, which is padding-free; its attention on CPU is SDPA under a dense
mask): each in a process of its own, in turn, `--rounds` times; medians over the steps after the first of each run. All
run with gradient checkpointing, TRL's default (`--no-checkpointing` without), TRL on `--trl-batch` rows at a time.
`--narrow FILE` adds a made set: rows of one call each, all with the first twelve tools of FILE.
`--model` is a folder with weights, or with a config and tokenizer alone, whose network is then random.
"""

import argparse
import json
import tempfile
from pathlib import Path

from data.reading import read_rows
from data.tokenizer_folder import open_tokenizer_folder
from data.user_error import UserError, run_program
from data.whole_file import write_whole
from train.bench_job import WAYS, Job
from train.bench_measure import lines_of, measure, narrow_rows, print_figures, summary


def main() -> None:
    args = _arguments()
    folder = open_tokenizer_folder(args.model, args.template)
    sets = {path.parent.name or path.stem: [item.row for item in read_rows(path)] for path in args.files}
    if args.narrow:
        sets["twelve_tools"] = narrow_rows(args.narrow, args.rows_per_step * args.steps)
    figures = {}
    job = Job(
        model=str(args.model), rows_per_step=args.rows_per_step, micro_batch=args.trl_batch,
        checkpointing=not args.no_checkpointing, steps=args.steps, pack_tokens=args.pack_tokens,
    )  # fmt: skip
    for name, rows in sets.items():
        with tempfile.TemporaryDirectory() as scratch:
            lines = lines_of(rows[: args.rows], folder)
            results = measure(lines, job, args.ways, args.rounds, Path(scratch))
        figures[name] = {way: summary(results[way]) for way in results}
        print_figures(name, figures[name])
        if args.json:
            write_whole(args.json, json.dumps(figures, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE.jsonl", help="rows, each file a set of its own")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="BASE", help="weights or a config, and a tokenizer"
    )
    parser.add_argument("--template", metavar="NAME", help="llama3 or chatml (default: the folder's calltune.json)")
    parser.add_argument("--narrow", type=Path, metavar="FILE.jsonl", help="rows with at least twelve tools among them")
    parser.add_argument("--rows", type=int, default=200, metavar="N", help="of each set (default: %(default)s)")
    parser.add_argument("--rows-per-step", type=int, default=8, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--pack-tokens", type=int, default=8192, metavar="N", help="ours (default: %(default)s)")
    parser.add_argument("--trl-batch", type=int, default=8, metavar="N", help="padded together (default: %(default)s)")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep activations, in all three")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="runs of each way (default: %(default)s)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
    args = parser.parse_args()
    if args.rows_per_step % args.trl_batch:
        raise UserError(
            "--rows-per-step is no multiple of --trl-batch", where="command line", fix="give --trl-batch a divisor"
        )
    if args.steps < 2:
        raise UserError("one step is all warm-up", where="--steps", fix="give 2 or more")
    return args


if __name__ == "__main__":
    run_program(main)
