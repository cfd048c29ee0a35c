"""Let a teacher behind an OpenAI-compatible endpoint answer requests, and keep as rows what holds up.

    python -m data.distill REQUESTS.jsonl --base-url URL --model NAME --out ROWS.jsonl [--tools TOOLS.json]
        [--environment task_service] [-n 3] [--max-tokens-total N | --max-cost X --price-in A --price-out B]

A request is a row without its answer: messages that end on the user, and tools. Each is played to its end -n times: the
teacher's calls are executed, their results given back, until it answers in plain text. A sample is kept when it has no
error by data.rules and most samples make the same calls (agree) or bring the task API to the same new state (executed);
data/distillation/selection.py says what each proves. The first such sample becomes the row.

Beside ROWS.jsonl stand ROWS.dropped.jsonl (each sample that is no row, with its cause) and ROWS.answers.jsonl (every
answer of the teacher): the same command goes on where a killed or stopped one ended, and asks nothing twice.
What a teacher's licence or terms of use allow its answers to be trained on is for you to find out.

Exit 0: every request was played; 2: bad input, or nothing could be kept; 3: stopped by the budget or by an endpoint
that gave no answer, and ROWS.jsonl holds what was finished.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.distillation.answer_journal import open_journal
from data.distillation.options import add_setting_options, settings_of
from data.distillation.playing import EndpointAddress, Played, play_all
from data.distillation.request_file import RequestFile, read_requests
from data.distillation.result import Result
from data.distillation.settings import DistillSection
from data.endpoint_options import add_endpoint_options
from data.served_models import served_model
from data.tool_file import read_tool_file
from data.user_error import UserError, run_program
from data.whole_file import refuse_overwriting

UNFINISHED = 3


def main() -> int:
    args = _parser().parse_args()
    settings = settings_of(args)
    dropped, journal_path = (args.out.with_suffix(f".{kind}.jsonl") for kind in ("dropped", "answers"))
    _check_paths(args, [args.out, dropped, journal_path])
    tools = read_tool_file(args.tools) if args.tools else None
    file = read_requests(args.requests, tools, settings.environment)
    served_model(args.base_url, args.api_key, args.model, min(10.0, settings.timeout_s))
    if args.dry_run:
        print(f"would play {len(file.requests):,} requests {settings.samples} times each with {args.model}")
        return 0
    with open_journal(journal_path) as journal:
        address = EndpointAddress(args.base_url, args.api_key, args.model)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(f"playing with {args.model}", total=len(file.requests) * settings.samples)
            played = asyncio.run(play_all(file.requests, address, journal, settings, lambda: progress.advance(bar)))
    result = Result()
    result.write(file, played, args.out, dropped)
    _print(result, file, played, args.out)
    if result.num_open:
        _say_how_to_go_on(result, played)
        return UNFINISHED
    if not result.num_rows:
        what = f"none of {len(file.requests):,} requests gave a row"
        raise UserError(what, where=str(args.requests), fix=f"see {dropped}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data.distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("requests", type=Path, metavar="REQUESTS.jsonl", help="rows without an answer; they are never changed")
    add("--out", type=Path, required=True, metavar="ROWS.jsonl", help="the rows")
    add("--tools", type=Path, metavar="TOOLS.json", help="JSON tool list for requests that come without one")
    add("--dry-run", action="store_true", help="check requests and endpoint, ask nothing")
    add_endpoint_options(parser, "the teacher")
    add_setting_options(parser, DistillSection.model_fields)
    return parser


def _check_paths(args: argparse.Namespace, outputs: list[Path]) -> None:
    if args.out.suffix != ".jsonl":
        raise UserError("rows are written as JSON lines", where=str(args.out), fix="give a name that ends in .jsonl")
    refuse_overwriting([args.requests, args.tools], outputs)


def _print(result: Result, file: RequestFile, played: Played, out: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    kept = ", ".join(f"{criterion} {count:,}" for criterion, count in sorted(result.kept.items()))
    lines = [f"{out}: {result.num_rows:,} rows of {len(file.requests):,} requests" + (f" ({kept})" if kept else "")]
    for cause, count in result.left.most_common():
        first = f"; the first: {result.first_of[cause]}" if cause in result.first_of else ""
        lines.append(f"  no row, {cause}: {count:,}{first}")
    if result.num_reasoning:
        lines.append(f"  left out of the rows, reasoning: {result.num_reasoning:,} answers")
    cost = f", cost {played.cost:,.4f}" if played.cost else ""
    lines.append(f"  tokens, all runs: {played.spent.prompt:,} in, {played.spent.completion:,} out{cost}")
    for line in lines:
        console.print(line, markup=False)


def _say_how_to_go_on(result: Result, played: Played) -> None:
    why = "the budget is spent" if played.is_over_budget else result.first_of["unanswered"]
    fix = "a larger budget" if played.is_over_budget else "the endpoint mended"
    print(
        f"stopped: {result.num_open:,} requests are not finished: {why} (fix: the same command, with {fix}, goes on)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_program(main)
