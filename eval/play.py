"""Play whole conversations with a model against executable tools, with faults injected, and score where they end.

    python -m eval.play ROWS... --base-url http://127.0.0.1:8000/v1 --model NAME [--environment coffee_bar]
    python -m eval.play ROWS... --base-url URL --model NAME --fault-rate 0.5      # half of the rows meet one fault

The user's messages come from the row, everything else from the model and the environment. A row counts as right when
the environment ends in the state that the row's own calls leave. Writes play.json with every conversation. Exit
status 0 says that it was played, not that it is good; 1 that nothing was.
"""

import argparse
import asyncio
from pathlib import Path

import openai
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.endpoint_options import add_endpoint_options
from data.reading import NumberedRow, read_rows
from data.user_error import UserError, run_program
from eval.endpoint import Endpoint, check_endpoint
from eval.environments.environment import expected_calls, open_environment
from eval.environments.faults import FaultyEnvironment, draw_fault
from eval.environments.play_results import PlayFile, PlayResult, play_result, play_scores, play_table
from eval.environments.playing import Player
from eval.environments.settings import PlaySection
from eval.evaluation import require_writable, write_json
from eval.section_options import add_section_options, with_section_options


def main() -> int:
    args = _parser().parse_args()
    settings = with_section_options(PlaySection(), args, PlaySection.model_fields)
    rows = [row for path in args.rows for row in read_rows(path)[: settings.limit or None]]
    environments = [_environment(row, settings) for row in rows]
    require_writable(args.out)
    endpoint = check_endpoint(args.base_url, args.api_key, args.model, min(10.0, settings.timeout_s))
    results = asyncio.run(_play_all(endpoint, rows, environments, args.api_key, settings))
    scores = play_scores(results)
    write_json(args.out, PlayFile(endpoint=endpoint, settings=settings, scores=scores, results=results))
    console = Console()
    console.print(play_table(scores, endpoint.model))
    console.print(f"wrote {args.out}", markup=False, soft_wrap=True)
    return 0 if scores.end_state.n else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.play", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("rows", nargs="+", type=Path, metavar="ROWS", help="row files")
    add_endpoint_options(parser, "the model")
    add("--out", type=Path, default=Path("play.json"), metavar="FILE", help="default: play.json")
    add_section_options(parser, PlaySection, PlaySection.model_fields)
    return parser


def _environment(numbered: NumberedRow, settings: PlaySection) -> FaultyEnvironment:
    """Before anything is asked: a row that does not say what it starts from is the user's fault."""
    where = _id(numbered)
    try:
        environment = open_environment(settings.environment, numbered.row)
    except UserError as error:
        fix = f"{error.fix}; or choose another --environment"
        raise UserError(f"environment {settings.environment!r}: {error.what}", where=where, fix=fix) from error
    item = f"{Path(numbered.path).name}:{numbered.line}"  # the same wherever the file lies
    fault = draw_fault(settings.seed, item, settings.fault_rate, len(expected_calls(numbered.row)))
    return FaultyEnvironment(environment, fault)


async def _play_all(
    endpoint: Endpoint,
    rows: list[NumberedRow],
    environments: list[FaultyEnvironment],
    api_key: str,
    settings: PlaySection,
) -> list[PlayResult]:
    slots = asyncio.Semaphore(settings.concurrency)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with openai.AsyncOpenAI(
        base_url=endpoint.base_url, api_key=api_key, timeout=settings.timeout_s, max_retries=settings.max_retries
    ) as client:
        player = Player(client, endpoint.model, settings)
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(f"playing with {endpoint.model}", total=len(rows))

            async def play(numbered: NumberedRow, environment: FaultyEnvironment) -> PlayResult:
                async with slots:
                    conversation = await player.play(numbered.row, environment)
                progress.advance(bar)
                return play_result(_id(numbered), numbered.row, conversation, settings)

            return list(await asyncio.gather(*map(play, rows, environments)))


def _id(numbered: NumberedRow) -> str:
    return f"{numbered.path}:{numbered.line}"


if __name__ == "__main__":
    run_program(main)
