"""Prove that a model is trained on the bytes it is served and scored with, before a GPU-hour is spent.

    python -m eval.parity FILE.jsonl... --model PATH [--limit N] [--json OUT]

PATH is a model folder with a manifest; its weights are not needed. For every assistant turn of every row vLLM's own
front end is asked for the prompt, token by token the trained one, and vLLM's own parser, streamed and not, for the
message, which must be the row's. Exit 0: all equal; 1: a difference; 2: what was given cannot be checked.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from transformers import AutoTokenizer

from data.reading import NumberedRow, read_rows
from data.template import load_template
from data.user_error import UserError, run_program
from eval.front_end import FrontEnd
from eval.parity_check import Renderer, Tally, check_row
from serve.server_process import ServerError

CONCURRENT_ROWS = 6
SHOWN = 5


def main() -> int:
    args = _arguments()
    rows = [row for path in args.files for row in read_rows(path)]
    rows = rows[: args.limit] if args.limit else rows
    temporary = None if args.log else Path(tempfile.mkdtemp(prefix="calltune-parity-"))
    log_path = temporary / "front_end.log" if temporary else args.log
    start = time.monotonic()
    try:
        with FrontEnd(args.model, log_path) as front_end:
            manifest = front_end.manifest
            renderer = Renderer(
                AutoTokenizer.from_pretrained(args.model), load_template(manifest.template), manifest.max_model_len
            )
            tally = asyncio.run(_check(rows, renderer, front_end))
    except ServerError as error:
        raise UserError(str(error), where=str(args.model), fix=f"read {log_path}") from error
    if temporary:
        shutil.rmtree(temporary)
    _report(tally, time.monotonic() - start)
    if args.json:
        _write(args.json, tally)
    return 0 if tally.is_equal else 1


async def _check(rows: list[NumberedRow], renderer: Renderer, front_end: FrontEnd) -> Tally:
    """All rows, a few at a time: rendering here and serving there then run side by side."""
    tally = Tally()
    with _progress() as progress:
        task = progress.add_task("comparing", total=len(rows))
        queue = iter(rows)

        async def work(queue: Iterator[NumberedRow]) -> None:
            for row in queue:
                await check_row(row, renderer, client, tally)
                progress.advance(task)

        async with front_end.client() as client:
            await asyncio.gather(*[work(queue) for _ in range(CONCURRENT_ROWS)])
    tally.differences.sort()
    return tally


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="rows: .jsonl or .jsonl.gz")
    parser.add_argument("--model", type=Path, required=True, help="model folder with a manifest, weights not needed")
    parser.add_argument("--limit", type=int, help="only the first N rows")
    parser.add_argument("--json", type=Path, help="write figures, refused rows and all differences here")
    parser.add_argument("--log", type=Path, help="vLLM's log (default: a temporary file)")
    return parser.parse_args()


def _report(tally: Tally, seconds: float) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table("checked", "equal", "of")
    table.add_row("prompt tokens", f"{tally.prompts_equal:,}", f"{tally.turns:,} turns")
    table.add_row("parsed message", f"{tally.parses_equal:,}", f"{tally.turns_parsed:,} trained turns")
    table.add_row(
        "parsed message, streamed", f"{tally.streamed_parses_equal:,}", f"{tally.turns_parsed:,} trained turns"
    )
    console.print(table)
    console.print(f"{tally.rows:,} rows in {seconds:.1f} s; {len(tally.refused):,} rows refused")
    _print_some(console, "refused", tally.refused)
    _print_some(console, "different", [str(difference) for difference in tally.differences])
    if not tally.turns:
        console.print("nothing was compared")


def _print_some(console: Console, title: str, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        console.print(f"{title}: {line}", markup=False)
    if len(lines) > SHOWN:
        console.print(f"... and {len(lines) - SHOWN:,} more {title}; --json writes all")


def _write(path: Path, tally: Tally) -> None:
    figures = {key: value for key, value in vars(tally).items() if isinstance(value, int)}
    differences = [difference._asdict() for difference in tally.differences]
    report = figures | {"is_equal": tally.is_equal, "refused": tally.refused, "differences": differences}
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


if __name__ == "__main__":
    run_program(main)
