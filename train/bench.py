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
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from statistics import median

from rich.console import Console
from rich.table import Table

from data.exercises.calling import single
from data.exercises.rows import as_row
from data.exercises.scene import PERSONAS, new_stage
from data.reading import read_rows
from data.render import render
from data.row import JsonObject, Row
from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from data.user_error import UserError, run_program
from data.whole_file import write_whole
from train.bench_job import WAYS, Job, Result, Way

console = Console()


def main() -> None:
    args = _arguments()
    folder = open_tokenizer_folder(args.model, args.template)
    sets = {path.parent.name or path.stem: [item.row for item in read_rows(path)] for path in args.files}
    if args.narrow:
        sets["twelve_tools"] = narrow_rows(args.narrow, args.rows_per_step * args.steps)
    figures = {}
    for name, rows in sets.items():
        with tempfile.TemporaryDirectory() as scratch:
            results = measure(rows[: args.rows], folder, args, Path(scratch))
        figures[name] = {way: summary(results[way]) for way in results}
        _print(name, figures[name])
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


def narrow_rows(path: Path, num_rows: int) -> list[Row]:
    """Rows of one call each, all with the first twelve tools that `path` has."""
    tools: dict[str, JsonObject] = {}
    for item in read_rows(path):
        for tool in item.row.tools or []:
            if len(tools) < 12:
                tools.setdefault(tool.function.name, tool.model_dump(exclude_none=True))
    if len(tools) < 12:
        raise UserError(f"has {len(tools)} tools", where=str(path), fix="give rows with twelve tools or more")
    stage = new_stage(list(tools.values()), PERSONAS)
    made = [as_row(single(stage, Random(f"bench/{number}")), stage.tools) for number in range(num_rows)]
    return [Row.model_validate(row) for row in made]


def measure(
    rows: list[Row], folder: TokenizerFolder, args: argparse.Namespace, scratch: Path
) -> dict[Way, list[Result]]:
    """The runs of each way, in turn."""
    file = scratch / "rows.jsonl"
    rendered = [render(row, folder.tokenizer, folder.template) for row in rows]
    lines = [json.dumps({"input_ids": row.input_ids, "labels": row.labels}) for row in rendered]
    write_whole(file, "".join(line + "\n" for line in lines))
    results: dict[Way, list[Result]] = {way: [] for way in args.ways}
    for _ in range(args.rounds):
        for way, found in results.items():
            job = Job(
                way=way, model=str(args.model), rows=str(file), rows_per_step=args.rows_per_step,
                micro_batch=args.trl_batch, checkpointing=not args.no_checkpointing, steps=args.steps,
                pack_tokens=args.pack_tokens,
            )  # fmt: skip
            found.append(result := run(job, scratch))
            each = ", ".join(f"{spent:.1f}" for spent in result.seconds)
            console.print(f"{way}: steps of {each} s, at most {result.peak_bytes / 2**30:.2f} GiB")
    return results


def run(job: Job, scratch: Path) -> Result:
    given, got = scratch / "job.json", scratch / "result.json"
    given.write_text(json.dumps(job._asdict()))
    done = subprocess.run(
        [sys.executable, "-m", "train.bench_run", str(given), str(got)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{job.way} failed: {done.stderr.strip()[-2000:]}", where="train.bench_run")
    return Result(**json.loads(got.read_text()))


def summary(results: list[Result]) -> dict[str, object]:
    """Medians over the steps after the first of each run; the losses of the first run."""

    def rate(counts: str) -> float:
        of_steps = [(getattr(r, counts)[1:], r.seconds[1:]) for r in results]
        middle: float = median(
            count / s for counted, spent in of_steps for count, s in zip(counted, spent, strict=True)
        )
        return round(middle, 3)

    rates = {f"{what}_per_s": rate(what) for what in ("rows", "row_tokens", "computed_tokens", "trained_tokens")}
    return {
        **rates,
        "seconds_per_step": round(median(s for result in results for s in result.seconds[1:]), 2),
        "peak_gib": round(max(result.peak_bytes for result in results) / 2**30, 2),
        "losses": [round(loss, 4) for loss in results[0].losses],
    }


def _print(name: str, by_way: dict[Way, dict[str, object]]) -> None:
    table = Table(title=name)
    columns = ("rows_per_s", "row_tokens_per_s", "computed_tokens_per_s", "trained_tokens_per_s", "peak_gib", "losses")
    for column in ("", *columns):
        table.add_column(column.replace("_", " "))
    for way, figures in by_way.items():
        table.add_row(way, *(str(figures[column]) for column in columns))
    console.print(table)


if __name__ == "__main__":
    run_program(main)
