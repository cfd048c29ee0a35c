"""What asking and scoring cost beside waiting, at an endpoint that answers after a fixed time.

    python -m eval.overhead ROWS --items 5000 --concurrency 64 --delay-ms 20

The items of ROWS are asked over and over until there are so many. Ideal is items / concurrency x delay; the bare client
sends and receives the same bytes and does nothing else, so it shows what server and machine take. In turn, medians.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console

from data.user_error import UserError, run_program
from eval.answer_log import AnswerLog, open_answer_log
from eval.client import Answer, Found, ask_all, ask_each, request
from eval.endpoint import Endpoint
from eval.fixed_delay import MAX_CONNECTIONS, fixed_delay_server, time_bare_client
from eval.item import Item
from eval.scores import Result, aggregate, result
from eval.settings import EvalSection
from eval.suite import read_suite


class Round(NamedTuple):
    bare_s: float
    asked_s: float
    """Asked and written to the answer log on the disk."""
    scored_s: float
    """Asked, written, scored and counted: what eval.run does between its first request and its file."""
    asked_cpu_s: float
    scored_cpu_s: float
    memory_mib: float
    """Of this process, with all the results."""


class _Time(NamedTuple):
    wall_s: float
    cpu_s: float


def main() -> int:
    args = _parser().parse_args()
    if args.concurrency > MAX_CONNECTIONS:
        raise UserError(f"--concurrency {args.concurrency}", where="command line", fix=f"at most {MAX_CONNECTIONS}")
    settings = EvalSection(concurrency=args.concurrency)
    given = islice(cycle(read_suite([args.rows], settings).items), args.items)
    # Each item an object of its own, or what is remembered of one would be found at its next turn.
    items = [item.model_copy(update={"id": f"{item.id}~{number}"}) for number, item in enumerate(given)]
    start_mib = _memory_mib()
    with fixed_delay_server(args.delay_ms / 1000) as base_url:
        rounds = [_round(Endpoint(base_url=base_url, model="fixed"), items, settings) for _ in range(args.rounds)]
    median = Round(*map(statistics.median, zip(*rounds, strict=True)))
    ideal_s = args.items / args.concurrency * args.delay_ms / 1000
    found = {
        "ideal_s": ideal_s,
        "bare_client_s": median.bare_s,
        "asked_to_ideal": [round_.asked_s / ideal_s for round_ in rounds],
        "scored_to_ideal": [round_.scored_s / ideal_s for round_ in rounds],
        "asked_to_ideal_median": median.asked_s / ideal_s,
        "scored_to_ideal_median": median.scored_s / ideal_s,
        "cpu_ms_an_item": [1000 * cpu_s / args.items for cpu_s in (median.asked_cpu_s, median.scored_cpu_s)],
        "memory_mib": [start_mib, *(round_.memory_mib for round_ in rounds)],
    }
    rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 3))
    Console().print_json(data={"items": args.items, "concurrency": args.concurrency, **rounded})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.overhead", description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, metavar="ROWS", help="row file that the items are taken from")
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--delay-ms", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    return parser


def _round(endpoint: Endpoint, items: list[Item], settings: EvalSection) -> Round:
    body = json.dumps(request(endpoint.model, items[0], settings)).encode()
    bare_s = asyncio.run(time_bare_client(endpoint.base_url, body, len(items), settings.concurrency))
    with _logged() as log:
        asked = _timed(lambda: ask_all(endpoint, items, "none", settings, log))[1]
    with _logged() as log:
        scores, scored = _timed(
            lambda: aggregate(ask_each(endpoint, items, "none", settings, log, partial(_scored, settings)))
        )
    if num_not_run := scores.states.get("not_run"):
        raise UserError(f"{num_not_run} items were not answered, so the time says nothing", fix="try --concurrency 16")
    return Round(bare_s, asked.wall_s, scored.wall_s, asked.cpu_s, scored.cpu_s, _memory_mib())


@contextmanager
def _logged() -> Iterator[AnswerLog]:
    with tempfile.TemporaryDirectory() as folder, open_answer_log(Path(folder) / "eval.json") as log:
        yield log


def _timed(work: Callable[[], Found]) -> tuple[Found, _Time]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    found = work()
    return found, _Time(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def _scored(settings: EvalSection, item: Item, answer: Answer) -> Result:
    return result(item, answer, settings.fuzzy_threshold)


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    run_program(main)
