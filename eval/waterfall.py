"""Where items are lost between the model and the agent, layer by layer, and what other ways of asking change.

    python -m eval.waterfall ROWS... --base-url http://127.0.0.1:8000/v1 --model tuned --environment task_service
    python -m eval.waterfall ROWS... --base-url URL --model merged --against adapter quantised=http://127.0.0.1:8001/v1

Every item is asked at once and streamed, with tool_choice required, with strict tools, and with strict tools as client
libraries make them of functions. It is lost at the first layer at which it is no longer right: transport, model text,
schema, environment, parser, streaming. What the model itself wrote is learnt from vLLM (return_token_ids and
/detokenize). The ways, and the models of --against, are compared with the plain way on the same items. Writes
waterfall.json. Exit status 0: followed; 1: nothing was answered.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.endpoint_options import add_endpoint_options, command_without_key
from data.user_error import run_program
from eval.endpoint import Endpoint, check_endpoint
from eval.evaluation import require_writable, write_json
from eval.item import Item
from eval.layers.asking import WAYS, Way
from eval.layers.following import Followed, follow_all
from eval.layers.waterfall_file import WaterfallFile, paired_ways, steps, waterfall_table, ways_table
from eval.section_options import add_section_options, with_section_options
from eval.settings import EvalSection
from eval.suite import read_suite

_OPTIONS = ("environment", "limit", "concurrency", "timeout_s", "max_tokens", "max_retries", "seed", "fuzzy_threshold")


def main() -> int:
    args = _parser().parse_args()
    settings = with_section_options(EvalSection(), args, _OPTIONS)
    suite = read_suite(args.rows, settings)
    require_writable(args.out)
    endpoints = _endpoints(args)
    followed = _follow(endpoints, suite.items, args.ways, args.api_key, settings)
    fates = [one.fate for one in followed]
    found = WaterfallFile(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_without_key("eval.waterfall", sys.argv),
        endpoint=endpoints[0],
        against=endpoints[1:],
        settings=settings,
        tells_model_text=any(one.tells_model_text for one in followed),
        steps=steps(fates),
        ways=paired_ways(fates),
        items=fates,
    )
    write_json(args.out, found)
    console = Console()
    console.print(waterfall_table(found.steps, args.model))
    console.print(ways_table(found.ways))
    if not found.tells_model_text:
        console.print("the endpoint does not tell what the model wrote: model text and parser are a guess")
    console.print(f"wrote {args.out}", markup=False, soft_wrap=True)
    return 0 if any(right is not None for fate in fates for right in fate.right.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.waterfall", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("rows", nargs="+", type=Path, metavar="ROWS", help="row files or YAML suites")
    add_endpoint_options(parser, "the model")
    add("--against", nargs="+", default=[], metavar="NAME[=URL]", help="other models, asked the plain way")
    add("--ways", nargs="*", default=WAYS[2:], choices=WAYS[2:], help=f"default: {' '.join(WAYS[2:])}")
    add("--out", type=Path, default=Path("waterfall.json"), metavar="FILE", help="default: waterfall.json")
    add_section_options(parser, EvalSection, _OPTIONS)
    return parser


def _endpoints(args: argparse.Namespace) -> list[Endpoint]:
    named = [(name, url or args.base_url) for name, _, url in (word.partition("=") for word in args.against)]
    return [check_endpoint(url, args.api_key, name) for name, url in [(args.model, args.base_url), *named]]


def _follow(
    endpoints: list[Endpoint], items: list[Item], ways: list[Way], api_key: str, settings: EvalSection
) -> list[Followed]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"following {endpoints[0].model}", total=len(items))
        return asyncio.run(follow_all(endpoints, items, ways, api_key, settings, lambda: progress.advance(bar)))


if __name__ == "__main__":
    run_program(main)
