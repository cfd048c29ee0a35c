"""Make exercise rows for any tool list, with mock tools and requests made from its schemas.

    python -m data.exercise TOOLS.json --out ROWS.jsonl --train 400 --seed 7 [--personas PERSONAS.json]
        [--base-url URL --model NAME]

Five kinds: one call, parallel calls, recovery from a failed call (which has `weight` 0), a chain in which a result
names what the next call takes, and requests that need no call. Every argument value stands in the request or in a
result, so that each call follows from its context. With an endpoint, a teacher rewords the requests; a wording that
loses a value is not taken. The same options give the same rows; answers of the teacher stand in ROWS.answers.jsonl and
are not asked for twice. The mock tools know nothing of the world: such rows teach calling, not what tools find out.
"""

import argparse
import asyncio
import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.distillation.answer_journal import open_journal
from data.distillation.options import add_setting_options, settings_of
from data.distillation.playing import EndpointAddress
from data.endpoint_options import add_endpoint_options
from data.exercises.paraphrase import Reworded, reword
from data.exercises.rows import KINDS, Made, as_row, make_exercises
from data.exercises.scene import PERSONAS, Stage, new_stage
from data.reading import parse_row, require_no_error
from data.row import JsonObject
from data.served_models import served_model
from data.strict_json import load_json
from data.tool_file import read_tool_file
from data.user_error import UserError, run_program
from data.whole_file import refuse_overwriting, write_whole

_TEACHER_SETTINGS = (
    *("concurrency", "temperature", "max_tokens", "extra_body", "timeout_s", "max_retries"),
    *("max_tokens_total", "max_cost", "price_in", "price_out"),
)


def main() -> None:
    args = _arguments()
    tools = _tools(args.tools)
    stage = new_stage(tools, _personas(args.personas) if args.personas else PERSONAS)
    made = make_exercises(stage, args.train, args.seed)
    if not made.exercises:
        raise UserError("no row could be made", where=str(args.tools), fix="see data.check on a row with these tools")
    reworded = _reword(made, tools, args) if args.base_url else None
    exercises = reworded.exercises if reworded else made.exercises
    rows = [as_row(exercise, tools) for exercise in exercises]
    write_whole(args.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    _print(args.out, stage, made, reworded)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.exercise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tools", type=Path, metavar="TOOLS.json", help="the tool list, as OpenAI's `tools`")
    parser.add_argument("--out", type=Path, required=True, metavar="ROWS.jsonl", help="the rows")
    parser.add_argument("--train", type=int, default=400, metavar="N", help="rows (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="seed of all draws (default: %(default)s)")
    parser.add_argument("--personas", type=Path, metavar="FILE", help="JSON list of system texts, in place of ours")
    add_endpoint_options(parser, "the teacher", required=False)
    add_setting_options(parser, _TEACHER_SETTINGS)
    args = parser.parse_args()
    if args.train < 1:
        raise UserError(f"{args.train} rows asked for", where="--train", fix="give a number of rows from 1 up")
    if args.seed < 0:
        raise UserError(f"{args.seed} is negative", where="--seed", fix="give a number from 0 up")
    if bool(args.base_url) != bool(args.model):
        raise UserError("--base-url and --model go together", where="command line", fix="give both, or neither")
    if args.out.suffix != ".jsonl":
        raise UserError("rows are written as JSON lines", where=str(args.out), fix="give a name that ends in .jsonl")
    refuse_overwriting([args.tools, args.personas], [args.out, args.out.with_suffix(".answers.jsonl")])
    return args


def _tools(path: Path) -> list[JsonObject]:
    """Raises UserError for a list that no row may carry."""
    tools = read_tool_file(path)
    if not tools:
        raise UserError("the tool list is empty", where=str(path), fix="list at least one tool")
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"}]
    require_no_error(parse_row(path, 1, json.dumps({"messages": messages, "tools": tools}))[1])
    return tools


def _personas(path: Path) -> tuple[str, ...]:
    try:
        personas = TypeAdapter(list[str]).validate_python(load_json(path.read_text(encoding="utf-8-sig")), strict=True)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    except (ValidationError, ValueError) as error:
        raise UserError("is no JSON list of texts", where=str(path), fix='write ["You are ...", "..."]') from error
    if not personas:
        raise UserError("the list of personas is empty", where=str(path), fix="write at least one system text")
    return tuple(personas)


def _reword(made: Made, tools: list[JsonObject], args: argparse.Namespace) -> Reworded:
    settings = settings_of(args, samples=1)
    served_model(args.base_url, args.api_key, args.model, min(10.0, settings.timeout_s))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    address = EndpointAddress(args.base_url, args.api_key, args.model)
    with (
        open_journal(args.out.with_suffix(".answers.jsonl")) as journal,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        num_calling = len(made.exercises) - made.kinds["no_call"]
        bar = progress.add_task(f"rewording with {args.model}", total=num_calling)
        work = reword(made.exercises, tools, address, journal, settings, lambda: progress.advance(bar))
        return asyncio.run(work)


def _print(out: Path, stage: Stage, made: Made, reworded: Reworded | None) -> None:
    lines = [f"{out}: {len(made.exercises):,} rows"]
    lines.append("  kinds: " + ", ".join(f"{kind} {made.kinds[kind]:,}" for kind in KINDS))
    if not stage.links:
        lines.append("  no multi_step rows: no tool's result names what another tool requires")
    lines += [f"  tool not called: {why}" for why in stage.unusable.values()]
    lines += [f"  missing rows, {cause}: {count:,}" for cause, count in made.skipped.most_common()]
    if reworded:
        num_calling = len(made.exercises) - made.kinds["no_call"]
        num_plain = sum(reworded.plain.values())
        lines.append(f"  reworded: {num_calling - num_plain:,} of {num_calling:,} requests with calls")
        lines += [f"  plain wording kept, {cause}: {count:,}" for cause, count in reworded.plain.most_common()]
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False)


if __name__ == "__main__":
    run_program(main)
