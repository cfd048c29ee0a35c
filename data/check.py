"""Check rows before a GPU-hour is spent: figures, advice, then every fault as FILE:LINE: message M, key "K": reason.

    python -m data.check FILE.jsonl... [--test FILE...] [--tokenizer FOLDER] [--html OUT] [--json OUT]
    python -m data.check --recipe RECIPE.yaml [--rule NAME=off]... [--unfinished FOLDER]

With --test (or a recipe) rows that are trained on and held out are told; with a tokenizer each row is also rendered as
training renders it. Rules and severities: data/rules/severities.py.
Exit 0: no errors, warnings and advice allowed; 2: errors.
"""

import argparse
import hashlib
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data.checking.advice import advise
from data.checking.page import write_page
from data.checking.result import CheckResult, Split
from data.checking.row_sample import sample_rows
from data.checking.row_view import RowView, row_view
from data.checking.run_cost import RunCost
from data.checking.table import print_check
from data.checking.tool_coverage import tool_coverage
from data.reading import NumberedPreference, NumberedRow, RowFile, file_sha256, read_row_file
from data.row_summary import good_preferences, good_rows, summarise
from data.rules.findings import Finding, by_rule
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS, RuleSeverities, severities_beside, with_options
from data.settings import DEFAULT_EPOCHS, DataRecipe, load_settings, num_epochs
from data.stored_rows import joined
from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from data.unfinished import NOTHING_KEPT, Unfinished
from data.user_error import UserError, run_program
from data.whole_file import refuse_overwriting, write_whole

if TYPE_CHECKING:  # imports transformers, which a check without a tokenizer never needs
    from data.token_summary import Measured

SHOWN_PER_RULE = 20
SAMPLED_ROWS = 40


class Options(NamedTuple):
    train: list[Path]
    test: list[Path]
    severities: RuleSeverities | None
    """None: those that stand beside each file, or the defaults."""
    epochs: float


class Rendering(NamedTuple):
    folder: TokenizerFolder | None
    max_length: int | None
    severities: RuleSeverities
    unfinished: Unfinished


def main() -> int:
    args = _arguments()
    folder = open_tokenizer_folder(args.tokenizer, args.template) if args.tokenizer else None
    options = _options(args)
    unfinished = _unfinished(args, options, folder)
    splits = [
        [read_row_file(path, options.severities, unfinished) for path in paths]
        for paths in (options.train, options.test)
    ]
    files = splits[0] + splits[1]
    severities = options.severities or severities_beside(files[0].path)
    findings = [finding for file in files for finding in file.findings]
    findings += set_findings(_rows(splits[0]), _rows(splits[1]), severities)
    rendering = Rendering(folder, args.max_length, severities, unfinished)
    measured = [
        _measure(split, findings, rendering, f"lengths-{name}")
        for split, name in zip(splits, ("train", "test"), strict=True)
    ]
    training, held_out = (_split(*pair, findings, severities) for pair in zip(splits, measured, strict=True))
    result = CheckResult(
        files=[file.path for file in files],
        training=training,
        held_out=held_out,
        run=_run(training, options.epochs, args.tokens_per_second),
        advice=advise(training.rows, training.tools, held_out.rows.num_chat if held_out else None) if training else [],
        groups=by_rule(findings),
    )
    print_check(result, SHOWN_PER_RULE if not args.all else len(findings))
    if args.json:
        write_whole(args.json, json.dumps(result.as_json(), indent=2) + "\n")
    if args.html:
        command = shlex.join(["python", "-m", "data.check", *sys.argv[1:]])
        write_page(args.html, result, _sample(splits[0] or splits[1], findings, folder), command)
    unfinished.remove()
    return 2 if result.num_errors else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="rows: .jsonl or .jsonl.gz")
    parser.add_argument("--test", type=Path, nargs="+", default=[], metavar="FILE", help="held-out rows")
    parser.add_argument("--recipe", type=Path, help="check the files of its data section, under its data.rules")
    parser.add_argument(
        "--rule", action="append", default=[], metavar="NAME=SEVERITY", help="error, warning or off; may be repeated"
    )
    parser.add_argument("--tokenizer", type=Path, metavar="FOLDER", help="any folder with a tokenizer: render each row")
    parser.add_argument("--template", metavar="NAME", help="llama3 or chatml (default: the folder's calltune.json)")
    parser.add_argument("--max-length", type=int, metavar="N", help="tokens of a row (default: the folder's, if any)")
    parser.add_argument(
        "--epochs", type=float, metavar="N", help=f"of a run (default: the recipe's, or {DEFAULT_EPOCHS:g})"
    )
    parser.add_argument("--tokens-per-second", type=float, metavar="N", help="of your GPU in training: tell GPU-hours")
    parser.add_argument("--all", action="store_true", help=f"print all findings, not {SHOWN_PER_RULE} a rule")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures, the advice and all findings here")
    parser.add_argument(
        "--unfinished", type=Path, metavar="FOLDER",
        help="keep what is found of large files here until the end: the same command goes on after a kill",
    )  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="OUT", help="write them here as one page, with rows to browse")
    args = parser.parse_args()
    _require_sense(args)
    return args


def _require_sense(args: argparse.Namespace) -> None:
    """Raises UserError for options that need another one, or hold no sensible number."""
    numbers = {"--max-length": args.max_length, "--epochs": args.epochs, "--tokens-per-second": args.tokens_per_second}
    for option, value in {"--template": args.template, **numbers}.items():
        if value is not None and not args.tokenizer:
            raise UserError("needs a tokenizer", where=option, fix="add --tokenizer FOLDER")
    if args.max_length is not None and args.max_length < 1:
        raise UserError(f"{args.max_length} tokens hold no row", where="--max-length", fix="give a number from 1 up")
    for option, value in numbers.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UserError(f"{value:g} is too little or too much", where=option, fix="give a number above 0")


def _options(args: argparse.Namespace) -> Options:
    """Files, severities and epochs, of the recipe where there is one; files that are named are checked in its place."""
    recipe = load_settings(args.recipe, [], DataRecipe) if args.recipe else None
    severities = recipe.data.rules if recipe else None
    if args.rule:
        severities = with_options(severities or DEFAULTS, args.rule)
    train, test = args.files, args.test
    if recipe and not (train or test):
        train, test = recipe.data.train, recipe.data.test
    if not (train or test):
        where = f"{args.recipe}, data" if recipe else "command line"
        raise UserError("no file to check", where=where, fix="name FILE.jsonl, or a recipe with data.train")
    refuse_overwriting([*train, *test, args.recipe], [args.json, args.html])
    return Options(train, test, severities, args.epochs or num_epochs(recipe.sft if recipe else {}))


def _unfinished(args: argparse.Namespace, options: Options, folder: TokenizerFolder | None) -> Unfinished:
    if not args.unfinished:
        return NOTHING_KEPT
    files = [[str(path), file_sha256(path), severities_beside(path)] for path in (*options.train, *options.test)]
    rendered_with = [folder.template.source, folder.tokenizer.backend_tokenizer.to_str()] if folder else []
    inputs = repr([files, options.train, options.severities, rendered_with])
    return Unfinished.named(args.unfinished, hashlib.sha256(inputs.encode()).hexdigest())


def _rows(files: list[RowFile]) -> Sequence[NumberedRow]:
    return joined([file.rows for file in files])


def _measure(files: list[RowFile], findings: list[Finding], how: Rendering, stage: str) -> "Measured | None":
    """The figures in tokens; what cannot be rendered or is too long is added to `findings`."""
    if not how.folder or not files:
        return None
    from data.token_summary import measure

    good: Sequence[NumberedRow | NumberedPreference] = joined(
        [good_rows(files, findings), good_preferences(files, findings)]
    )
    tokenizer, template, max_length = how.folder
    measured = measure(good, tokenizer, template, how.max_length or max_length, how.severities, how.unfinished, stage)
    findings += measured.findings
    return measured


def _split(
    files: list[RowFile], measured: "Measured | None", findings: list[Finding], severities: RuleSeverities
) -> Split | None:
    """The figures of files, or None where none was given."""
    if not files:
        return None
    return Split(
        rows=summarise(files, findings, severities),
        tools=tool_coverage(good_rows(files, findings)),
        measured=measured,
    )


def _run(training: Split | None, epochs: float, tokens_per_second: float | None) -> RunCost | None:
    tokens = training.measured.summary if training and training.measured else None
    return RunCost.of(epochs, tokens.total_tokens, tokens.total_trained_tokens, tokens_per_second) if tokens else None


def _sample(files: list[RowFile], findings: list[Finding], folder: TokenizerFolder | None) -> list[RowView]:
    return [
        row_view(row, folder, [finding for finding in findings if (finding.path, finding.line) == (row.path, row.line)])
        for row in sample_rows(good_rows(files, findings), SAMPLED_ROWS)
    ]


if __name__ == "__main__":
    run_program(main)
