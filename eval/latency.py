"""How fast an endpoint answers under load: first token, whole call, throughput; and what a call costs.

    python -m eval.latency ROWS --base-url URL --model NAME --concurrency 1 8 32 [--rate 5] [--requests 200]

Streamed, as agents ask. Each --concurrency is a closed loop (so many users who wait for their answer), each --rate an
open one (Poisson arrivals). With --gpu-price and --api-price also cost per 1,000 calls and the break-even rate. Writes
latency.json, which the report of eval.run and eval.gate takes from beside eval.json. Exit status 1: a request failed.
"""

import argparse
import json
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.endpoint_options import add_endpoint_options
from data.user_error import UserError, run_program
from eval.client import request
from eval.cost import Prices
from eval.endpoint import check_endpoint
from eval.evaluation import require_writable, write_json
from eval.latency_file import LatencyFile, latency_file
from eval.load import Percentiles, closed_loop, open_loop
from eval.settings import EvalSection
from eval.suite import read_suite


def main() -> int:
    args = _parser().parse_args()
    settings = EvalSection(max_tokens=args.max_tokens)
    items = read_suite([args.rows], settings).items
    require_writable(args.out)
    prices = _prices(args)
    endpoint = check_endpoint(args.base_url, args.api_key, args.model)
    bodies = [_streamed(request(args.model, item, settings)) for item in items]
    asked = list(islice(cycle(bodies), args.requests))
    console = Console(stderr=True)
    loads = []
    for concurrency in args.concurrency:
        console.print(f"{len(asked)} requests, {concurrency} at a time")
        loads.append(closed_loop(endpoint, args.api_key, asked, concurrency, args.timeout_s))
    for rate in args.rate:
        console.print(f"{len(asked)} requests, {rate:g} a second")
        loads.append(open_loop(endpoint, args.api_key, asked, rate, args.timeout_s, seed=0))
    found = latency_file(endpoint, loads, prices)
    write_json(args.out, found)
    _print(found)
    return 1 if any(load.num_failed for load in loads) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.latency", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("rows", type=Path, metavar="ROWS", help="row file whose turns are asked, over and over")
    add_endpoint_options(parser, "the model")
    add("--concurrency", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="default: 1 8 32")
    add("--rate", type=float, nargs="+", default=[], metavar="CALLS", help="calls a second; default: none")
    add("--requests", type=int, default=200, help="at each load (default: 200)")
    add("--max-tokens", type=int, default=512)
    add("--timeout-s", type=float, default=120.0)
    add("--gpu-price", type=float, metavar="PRICE", help="of the machine, an hour")
    add("--api-price", type=float, nargs=2, metavar=("IN", "OUT"), help="of a million tokens")
    add("--out", type=Path, default=Path("latency.json"), metavar="FILE", help="default: latency.json")
    return parser


def _streamed(body: dict[str, object]) -> bytes:
    return json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()


def _prices(args: argparse.Namespace) -> Prices | None:
    if args.gpu_price is None and args.api_price is None:
        return None
    if args.gpu_price is None or args.api_price is None:
        raise UserError("one price says nothing", where="command line", fix="give --gpu-price and --api-price")
    return Prices(
        gpu_per_hour=args.gpu_price, api_per_million_in=args.api_price[0], api_per_million_out=args.api_price[1]
    )


def _print(found: LatencyFile) -> None:
    console = Console()
    table = Table("load", "first token p50 / p95 / p99", "whole call p50 / p95 / p99", "calls/s", "tokens", "failed")
    for load in found.loads:
        tokens = f"{load.prompt_tokens:.0f} + {load.completion_tokens:.0f}"
        failed = f"{load.num_failed} of {load.num_requests}"
        table.add_row(
            load.title, _text(load.first_token_ms), _text(load.whole_ms), f"{load.calls_per_s:.2f}", tokens, failed
        )
    console.print(table)
    if worst := next((load for load in found.loads if load.num_failed), None):
        console.print(f"the first failure: {worst.why}", markup=False, soft_wrap=True)
    if found.cost:
        cost = found.cost
        console.print(
            f"1,000 calls: {cost.own_per_1000:.3f} on this machine when busy, {cost.api_per_1000:.3f} from the API; "
            f"break-even at {cost.break_even_calls_per_s:.2f} calls/s"
            f"{'' if cost.is_ever_cheaper else ', more than it can answer'}", soft_wrap=True,
        )  # fmt: skip


def _text(found: Percentiles) -> str:
    return " / ".join("-" if value is None else f"{value:.0f}" for value in (found.p50, found.p95, found.p99)) + " ms"


if __name__ == "__main__":
    run_program(main)
