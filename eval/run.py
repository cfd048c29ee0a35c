"""Score a model, and its baseline, on the same rows through an OpenAI-compatible endpoint.

    python -m eval.run SUITE... --base-url http://127.0.0.1:8000/v1 --model tuned --baseline base --report report.html

Writes eval.json (what was asked, expected, given and scored) and prints candidate beside baseline. Exit status 0 says
that it was scored, not that it is good: that is eval.gate's word. An interrupted run goes on with the same command:
every answer is written to eval.answers.jsonl as it comes.
"""

import argparse
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from data.endpoint_options import add_endpoint_options, command_without_key
from data.settings import load_settings
from data.user_error import UserError, run_program
from eval.answer_log import AnswerLog, log_path, open_answer_log
from eval.client import ask_each
from eval.endpoint import Endpoint, check_endpoint
from eval.evaluation import (
    Evaluation,
    Load,
    ModelRun,
    Sampling,
    SuiteFacts,
    read_candidate,
    require_writable,
    write_json,
)
from eval.history import note_run, since_last_run
from eval.report import write_report
from eval.scores import aggregate, result
from eval.section_options import add_section_options, with_section_options
from eval.settings import EvalRecipe, EvalSection
from eval.suite import Suite, read_suite
from eval.table import score_table
from eval.verdict import judge

# Fields of the recipe's `eval` section that are options too.
_OPTIONS = (
    "environment", "limit", "tool_choice", "temperature", "samples", "max_tokens", "concurrency", "timeout_s",
    "max_retries", "seed", "fuzzy_threshold",
)  # fmt: skip


def main() -> None:
    args = _parser().parse_args()
    recipe = load_settings(args.recipe, [], EvalRecipe) if args.recipe else EvalRecipe()
    settings = with_section_options(recipe.eval, args, _OPTIONS)
    suite = read_suite(_suite_paths(args, settings), settings)
    facts, sampling = SuiteFacts.of(suite), Sampling.of(settings)
    baseline = read_candidate(args.baseline_file, facts, sampling) if args.baseline_file else None
    others = [read_candidate(path, facts, sampling) for path in args.beside]
    for path in filter(None, (args.out, args.report)):
        require_writable(path)
    names = [args.model, *([args.baseline] if args.baseline else [])]
    endpoints = [check_endpoint(args.base_url, args.api_key, name, min(10.0, settings.timeout_s)) for name in names]
    if args.dry_run:
        print(f"would ask {len(suite.items)} items ({facts.kinds}) of {' and '.join(names)}")
        return
    with open_answer_log(args.out, restart=args.restart) as log:
        if log.num_earlier:
            print(f"going on with {log.num_earlier} answers of {log_path(args.out)}; --restart asks everything again")
        runs = [_score(endpoint, suite, args.api_key, settings, log) for endpoint in endpoints]
    evaluation = Evaluation(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_without_key("eval.run", sys.argv),
        recipe=str(args.recipe or ""),
        template=recipe.template,
        versions={"python": platform.python_version()} | {name: version(name) for name in ("aiohttp", "jsonschema")},
        suite=facts,
        sampling=sampling,
        candidate=runs[0],
        baseline=runs[1] if args.baseline else baseline,
        others=others,
        gate=recipe.gate,
    )
    evaluation = evaluation.model_copy(update={"since": since_last_run(args.out, evaluation)})
    _deliver(evaluation, args.out, args.report)
    if not any(run.scores.states.get("not_run") for run in runs):
        log_path(args.out).unlink()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.run", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "suites",
        nargs="*",
        type=Path,
        metavar="SUITE",
        help="row file, YAML suite or bfcl:CATEGORY; default: the recipe's eval.suites",
    )
    add_endpoint_options(parser, "the candidate")
    baseline = parser.add_mutually_exclusive_group()
    baseline.add_argument("--baseline", metavar="NAME", help="a second model of the endpoint to compare with")
    baseline.add_argument(
        "--baseline-file", type=Path, metavar="FILE", help="eval.json whose candidate is the baseline"
    )
    add("--beside", type=Path, nargs="+", default=[], metavar="FILE", help="eval.json of other models to show beside")
    add("--out", type=Path, default=Path("eval.json"), metavar="FILE", help="default: eval.json")
    add("--report", type=Path, metavar="FILE", help="also write an HTML report")
    add("--recipe", type=Path, metavar="FILE", help="take the `eval` and `gate` sections from this recipe")
    add("--restart", action="store_true", help="ask everything again, also what an interrupted run was told")
    add("--dry-run", action="store_true", help="check suite and endpoint, ask nothing")
    add_section_options(parser, EvalSection, _OPTIONS)
    return parser


def _suite_paths(args: argparse.Namespace, settings: EvalSection) -> list[Path]:
    paths = args.suites or settings.suites
    if not paths:
        raise UserError("no suite", where="command line", fix="name a row file, or set eval.suites in the recipe")
    return list(paths)


def _score(endpoint: Endpoint, suite: Suite, api_key: str, settings: EvalSection, log: AnswerLog) -> ModelRun:
    threshold = settings.fuzzy_threshold
    results = ask_each(
        endpoint, suite.items, api_key, settings, log, lambda item, answer: result(item, answer, threshold)
    )
    load = Load.of(settings)
    return ModelRun(endpoint=endpoint, load=load, scores=aggregate(results), results=results)


def _deliver(evaluation: Evaluation, out: Path, report: Path | None) -> None:
    write_json(out, evaluation)
    note_run(out, evaluation)
    console = Console()
    console.print(score_table(evaluation))
    num_not_run = evaluation.candidate.scores.states.get("not_run", 0)
    if num_not_run:
        reason = next(r.score.why for r in evaluation.candidate.results if r.score.verdict == "not_run")
        console.print(
            f"warning: {num_not_run} items not run, the first because: {reason}", markup=False, soft_wrap=True
        )
    console.print(f"wrote {out}", markup=False, soft_wrap=True)
    if report:
        write_report(report, evaluation, judge(evaluation, evaluation.gate), beside=out)
        console.print(f"wrote {report}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_program(main)
