"""Rate and memory of `data.check` by the size of its file:

    python -m data.benchmark [--rows N...] [--tokenizer FOLDER] [--folder FOLDER] [--json OUT]

Makes files of N rows of about 2 kB (task API conversations, no two alike), checks each in a process of its own, and
tells rows a second and the largest memory, its helpers' included. What it makes is deleted again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from time import perf_counter, sleep
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from data.task_api.scenarios import synthesize
from data.user_error import UserError, run_program
from data.whole_file import whole_file, write_whole

PATTERNS = 2000
ROW_BYTES = 2000
SAMPLE_S, TELL_S = 0.1, 60


class Measured(NamedTuple):
    rows: int
    megabytes: float
    """Of the file."""
    seconds: float
    rows_per_s: float
    main_mib: float
    """Largest resident memory of the program's own process."""
    all_mib: float
    """The same of all its processes together; memory they share counts once for each."""


def main() -> None:
    args = _arguments()
    measured = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for num_rows in args.rows:
            path = Path(folder) / "rows.jsonl"
            write_rows(path, num_rows)
            measured.append(measure(path, num_rows, args.tokenizer))
            told = f"{measured[-1].rows_per_s:,.0f} a second, {measured[-1].all_mib:,.0f} MiB"
            print(f"{num_rows:,} rows: {told}", file=sys.stderr)  # the largest size may be stopped before it is done
    _print(measured)
    if args.json:
        write_whole(args.json, json.dumps([one._asdict() for one in measured], indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000], metavar="N", help="sizes to measure")
    parser.add_argument(
        "--tokenizer", type=Path, metavar="FOLDER", help="render each row, too (a served model's folder)"
    )
    parser.add_argument("--folder", type=Path, help="where the files are made (default: the system's temporary folder)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
    return parser.parse_args()


def write_rows(path: Path, num_rows: int) -> None:
    """Rows of at least ROW_BYTES; the same number gives the same bytes."""
    patterns = [json.dumps(row) for row in synthesize(PATTERNS, 1, seed=1).train]
    random, vocabulary = Random(1), sorted({word for pattern in patterns for word in pattern.split() if word.isalpha()})
    with whole_file(path) as file:
        for number in range(num_rows):
            row = json.loads(patterns[number % PATTERNS])
            asked = next(message for message in row["messages"] if message["role"] == "user")
            num_words = max(12, (ROW_BYTES - len(patterns[number % PATTERNS])) // 7)
            asked["content"] = " ".join([*random.choices(vocabulary, k=num_words), asked["content"]])
            file.write(json.dumps(row) + "\n")


def measure(path: Path, num_rows: int, tokenizer: Path | None) -> Measured:
    """`data.check` of the file, watched. Raises UserError when it ends with another status than 0."""
    command = [sys.executable, "-m", "data.check", str(path), *(["--tokenizer", str(tokenizer)] if tokenizer else [])]
    start = perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    main_bytes = all_bytes = 0
    told = start
    while process.poll() is None:
        sizes = _resident(process)
        main_bytes, all_bytes = max(main_bytes, sizes[0]), max(all_bytes, sum(sizes))
        if perf_counter() - told > TELL_S:  # a run of a million rows may be stopped before its end
            told = perf_counter()
            memory = f"{main_bytes / 2**20:,.0f} MiB, {all_bytes / 2**20:,.0f} MiB in all"
            print(f"{num_rows:,} rows, after {told - start:,.0f} s: {memory}", file=sys.stderr)
        sleep(SAMPLE_S)
    seconds = perf_counter() - start
    if process.returncode:
        told = process.stderr.read().decode().strip()
        raise UserError(f"data.check ended with status {process.returncode}: {told}", where=str(path))
    file_bytes = path.stat().st_size
    return Measured(num_rows, file_bytes / 1e6, seconds, num_rows / seconds, main_bytes / 2**20, all_bytes / 2**20)


def _resident(process: psutil.Process) -> list[int]:
    """Bytes of the process, then of each of its helpers."""
    sizes = []
    for one in [process, *_children(process)]:
        try:
            sizes.append(one.memory_info().rss)
        except psutil.NoSuchProcess:
            sizes.append(0)
    return sizes


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _print(measured: list[Measured]) -> None:
    table = Table("rows", "file", "time", "rows a second", "memory, main process", "memory, all processes")
    for one in measured:
        table.add_row(
            f"{one.rows:,}", f"{one.megabytes:,.0f} MB", f"{one.seconds:,.1f} s", f"{one.rows_per_s:,.0f}",
            f"{one.main_mib:,.0f} MiB", f"{one.all_mib:,.0f} MiB",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    run_program(main)
