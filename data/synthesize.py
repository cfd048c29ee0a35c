"""Write training and held-out rows for the task API, every tool result of which was really computed.

    python -m data.synthesize --out runs/tasks/rows --train 400 --test 240 --seed 7

Writes `train.jsonl` and `test.jsonl`, and with `--reworded N` also `reworded.jsonl`: held-out rows whose requests are
in phrases that no training row uses. The same options give the same bytes.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import get_args

from data.row import JsonObject
from data.task_api.scenarios import KINDS, kind_of, synthesize
from data.task_api.scene import Level
from data.task_api.service import TASK_TOOLS
from data.user_error import UserError, run_program
from data.whole_file import write_whole


def main() -> None:
    args = _parser().parse_args()
    for option, n_rows in (("--train", args.train), ("--test", args.test)):
        if n_rows < 1:
            raise UserError(f"{n_rows} rows asked for", where=option, fix="give a number of rows from 1 up")
    if args.reworded < 0:
        raise UserError(f"{args.reworded} rows asked for", where="--reworded", fix="give a number of rows from 0 up")
    rows = synthesize(args.train, args.test, args.seed, args.level, args.reworded)
    for name, split in rows._asdict().items():
        if split:
            path = args.out / f"{name}.jsonl"
            _write(path, split)
            print(_summary(path, split))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data.synthesize", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for train.jsonl and test.jsonl")
    parser.add_argument("--train", type=int, default=400, metavar="N", help="training rows (default: %(default)s)")
    parser.add_argument("--test", type=int, default=240, metavar="N", help="held-out rows (default: %(default)s)")
    parser.add_argument("--reworded", type=int, default=0, metavar="N", help="held-out rows in other phrases")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="seed of all draws (default: %(default)s)")
    parser.add_argument("--level", choices=get_args(Level), default="full", help="default: %(default)s")
    return parser


def _write(path: Path, rows: list[JsonObject]) -> None:
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _summary(path: Path, rows: list[JsonObject]) -> str:
    kinds = Counter(kind_of(row) for row in rows)
    calls = Counter(
        call["function"]["name"] for row in rows for m in row["messages"] for call in m.get("tool_calls", ())
    )
    tools = [tool["function"]["name"] for tool in TASK_TOOLS]
    return "\n".join(
        [
            f"{path}: {len(rows)} rows",
            "  kinds: " + ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS),
            "  calls: " + ", ".join(f"{tool} {calls[tool]}" for tool in tools),
        ]
    )


if __name__ == "__main__":
    run_program(main)
