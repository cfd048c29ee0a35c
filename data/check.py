"""Check rows before a GPU-hour is spent: figures first, then every fault as FILE:LINE: message M, key "K": reason.

    python -m data.check FILE.jsonl... [--test FILE...] [--rule NAME=off]... [--tokenizer FOLDER] [--all] [--json OUT]
    python -m data.check --recipe RECIPE.yaml

With --test (or a recipe) rows that are trained on and held out are told; with a tokenizer each row is also rendered as
training renders it. Rules and severities: data/rules/severities.py.
Exit 0: no errors, warnings allowed; 2: errors.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from data.reading import NumberedPreference, NumberedRow, RowFile, read_row_file
from data.row import JsonObject
from data.row_summary import RowSummary, good_preferences, good_rows, summarise
from data.rules.findings import Finding, Group, by_rule
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS, RuleSeverities, severities_beside, with_options
from data.settings import DataRecipe, load_settings
from data.stored_rows import joined
from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from data.user_error import UserError, run_program
from data.whole_file import write_whole

SHOWN_PER_RULE = 20
SHOWN_TOOLS = 15


class Options(NamedTuple):
    train: list[Path]
    test: list[Path]
    severities: RuleSeverities | None
    """None: those that stand beside each file, or the defaults."""


def main() -> int:
    args = _arguments()
    folder = open_tokenizer_folder(args.tokenizer, args.template) if args.tokenizer else None
    options = _options(args)
    train, test = ([read_row_file(p, options.severities) for p in paths] for paths in (options.train, options.test))
    files = train + test
    severities = options.severities or severities_beside(files[0].path)
    findings = [finding for file in files for finding in file.findings]
    findings += set_findings(_rows(train), _rows(test), severities)
    tokens = _measure(files, findings, folder, args.max_length, severities) if folder else None
    summary = summarise(files, findings)
    groups = by_rule(findings)
    _print(summary, tokens, groups, SHOWN_PER_RULE if not args.all else len(findings))
    if args.json:
        _write(args.json, summary, tokens, groups)
    return 2 if any(finding.is_error for finding in findings) else 0


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
    parser.add_argument("--all", action="store_true", help=f"print all findings, not {SHOWN_PER_RULE} a rule")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures and all findings here")
    args = parser.parse_args()
    for option, value in (("--template", args.template), ("--max-length", args.max_length)):
        if value is not None and not args.tokenizer:
            raise UserError("needs a tokenizer", where=option, fix="add --tokenizer FOLDER")
    if args.max_length is not None and args.max_length < 1:
        raise UserError(f"{args.max_length} tokens hold no row", where="--max-length", fix="give a number from 1 up")
    return args


def _options(args: argparse.Namespace) -> Options:
    """Files and severities, of the recipe where there is one; files that are named are checked in their place."""
    section = load_settings(args.recipe, [], DataRecipe).data if args.recipe else None
    severities = section.rules if section else None
    if args.rule:
        severities = with_options(severities or DEFAULTS, args.rule)
    train, test = args.files, args.test
    if section and not (train or test):
        train, test = section.train, section.test
    if not (train or test):
        where = f"{args.recipe}, data" if section else "command line"
        raise UserError("no file to check", where=where, fix="name FILE.jsonl, or a recipe with data.train")
    return Options(train, test, severities)


def _rows(files: list[RowFile]) -> Sequence[NumberedRow]:
    return joined([file.rows for file in files])


def _measure(
    files: list[RowFile],
    findings: list[Finding],
    folder: TokenizerFolder,
    max_length: int | None,
    severities: RuleSeverities,
) -> JsonObject:
    """The figures in tokens; what cannot be rendered or is too long is added to `findings`."""
    from data.token_summary import measure  # imports transformers, which a check without a tokenizer never needs

    good: Sequence[NumberedRow | NumberedPreference] = joined(
        [good_rows(files, findings), good_preferences(files, findings)]
    )
    summary, found = measure(good, folder.tokenizer, folder.template, max_length or folder.max_length, severities)
    findings += found
    return summary.as_json()


def _print(summary: RowSummary, tokens: JsonObject | None, groups: list[Group], num_shown: int) -> None:
    console, figures = Console(highlight=False, soft_wrap=True), Table(show_header=False)
    for name, figure in [*_row_figures(summary), *_token_figures(tokens)]:
        figures.add_row(name, figure)
    console.print(figures)
    for group in groups:
        style = "red" if group.severity == "error" else "yellow"
        console.print(f"{group.severity} {group.rule}: {len(group.findings):,}", style=f"bold {style}")
        for finding in group.findings[:num_shown]:
            console.print(str(finding), markup=False, style=style)
        if len(group.findings) > num_shown:
            console.print(f"... and {len(group.findings) - num_shown:,} more {group.rule}; --all prints them")
    console.print(f"{summary.good:,} of {summary.lines:,} rows are good", style="bold")


def _row_figures(summary: RowSummary) -> Iterator[tuple[str, str]]:
    yield "lines", f"{summary.lines:,}"
    yield "rows good", f"{summary.good:,}"
    yield "rows refused", f"{summary.refused:,}"
    if summary.preferences:
        yield "rows, preference", f"{summary.preferences:,}"
    num_chat = summary.good - summary.preferences
    if not num_chat:
        return
    yield "messages", f"{summary.messages:,}"
    yield "system prompts", f"{summary.system_prompts:,} distinct"
    for shape, count in summary.shapes.items():
        yield f"rows, {shape}", f"{count:,} ({count / num_chat:.1%})"
    calls = list(summary.calls.items())
    for tool, count in calls[:SHOWN_TOOLS]:
        yield f"calls, {tool}", f"{count:,}"
    if rest := calls[SHOWN_TOOLS:]:
        yield f"calls, {len(rest):,} more tools", f"{sum(count for _, count in rest):,}"
    if summary.uncalled_tools:
        yield "never called", f"{len(summary.uncalled_tools):,} tools"


def _token_figures(tokens: JsonObject | None) -> Iterator[tuple[str, str]]:
    if not tokens or not tokens["rendered"]:
        return
    for key, name in (("tokens", "tokens a row"), ("trained_tokens", "trained tokens a row")):
        spread = tokens[key]
        yield name, f"mean {spread['mean']:,.1f}, p95 {spread['p95']:,}, max {spread['max']:,}"
    yield "trained share", f"{tokens['trained_share']:.1%} of all tokens"
    yield "rendered with", f"{tokens['template']} template, at most {tokens['max_length'] or 'any number of'} tokens"


def _write(path: Path, summary: RowSummary, tokens: JsonObject | None, groups: list[Group]) -> None:
    """Whole or not at all: a reader never sees half a file."""
    report = {
        "rows": summary._asdict(),
        "tokens": tokens,
        "counts": {group.rule: len(group.findings) for group in groups},
        "findings": [finding.as_json() for group in groups for finding in group.findings],
    }
    write_whole(path, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    run_program(main)
