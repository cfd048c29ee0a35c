"""Convert tool-calling traces of any known layout to checked rows; a record is kept without loss or refused.

    python -m data.convert FILE... --out OUT.jsonl [--from LAYOUT] [--tools TOOLS.json] [--json REPORT]
    python -m data.convert --dataset ORG/NAME [--config C] [--split S] [--revision R] --out OUT.jsonl

A data set is one of the Hugging Face hub, or a folder laid out like one; all its splits are read, or the one named.
The layout is told from the content of each file. Reads JSONL, JSON and Parquet, gzipped or not. Every refused record
is listed in OUT.refused.jsonl with its reason; what kept rows leave out of their records is counted. The same files
give the same bytes. Exit 0: something was kept; 2: nothing was, or a file cannot be read.
"""

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from data.conversion import Kept, convert_file
from data.conversion_report import FileReport, Report
from data.hub_dataset import load_splits
from data.layouts.detection import LAYOUTS, detect, layout_named
from data.layouts.layout import Layout
from data.progress_bar import progress_over
from data.row import JsonObject
from data.source_records import Source, read_records
from data.tool_file import read_tool_file
from data.user_error import UserError, run_program
from data.whole_file import refuse_overwriting, whole_file, write_whole


class NothingKeptError(Exception):
    """Ends the writing of OUT, so that no empty file takes its place."""


def main() -> None:
    args = _arguments()
    if args.out.suffix != ".jsonl":
        raise UserError("rows are written as JSON lines", where=str(args.out), fix="give a name that ends in .jsonl")
    refused_path = args.out.with_suffix(".refused.jsonl")
    refuse_overwriting([*args.files, args.tools], [args.out, refused_path, args.json])
    tools = read_tool_file(args.tools) if args.tools else None
    sources: list[Source] = [*args.files]
    if args.dataset:
        sources += load_splits(args.dataset, args.config, args.split, args.revision)
    layouts = [layout_named(args.layout) if args.layout else detect(one, read_records(one)) for one in sources]
    report = Report()
    with whole_file(refused_path) as refused_file, suppress(NothingKeptError), whole_file(args.out) as rows_file:
        for source, layout in zip(sources, layouts, strict=True):
            report.files.append(_convert(source, layout, tools, rows_file, refused_file, report))
        if not report.kept:
            raise NothingKeptError
    if args.json:
        write_whole(args.json, json.dumps(report.as_json(), indent=2) + "\n")
    report.print()
    if not report.kept:
        what = f"none of {sum(report.causes.values()):,} rows could be kept"
        raise UserError(what, where=str(sources[0]), fix=f"see {refused_path}")


def _arguments() -> argparse.Namespace:
    known = "\n".join(f"  {layout.name:18}{layout.about}" for layout in LAYOUTS)
    parser = argparse.ArgumentParser(
        prog="python -m data.convert",
        description=f"{__doc__}\nLayouts:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="traces; they are never changed")
    parser.add_argument("--dataset", metavar="ORG/NAME", help="a data set of the hub, or a folder laid out like one")
    for option in ("config", "split", "revision"):
        parser.add_argument(f"--{option}", metavar=option[0].upper(), help="of the data set")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.jsonl", help="the rows")
    parser.add_argument(
        "--from", dest="layout", choices=[layout.name for layout in LAYOUTS], metavar="LAYOUT",
        help="the layout of all files (default: told from the content)",
    )  # fmt: skip
    parser.add_argument("--tools", type=Path, metavar="FILE", help="JSON tool list for rows that come without one")
    parser.add_argument("--json", type=Path, metavar="REPORT", help="write the figures here")
    args = parser.parse_args()
    if not (args.files or args.dataset):
        raise UserError("nothing to convert", where="command line", fix="name files, or --dataset ORG/NAME")
    if not args.dataset and (args.config or args.split or args.revision):
        raise UserError("--config, --split and --revision are of a data set", where="command line", fix="add --dataset")
    return args


def _convert(
    source: Source, layout: Layout, tools: list[JsonObject] | None, rows: TextIO, refused: TextIO, report: Report
) -> FileReport:
    kept = num_refused = 0
    with progress_over(convert_file(source, layout, tools), f"reading {source.name}") as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Kept):
                kept += 1
                rows.write(outcome.line + "\n")
                report.notes += outcome.notes
            else:
                num_refused += 1
                refused.write(json.dumps(outcome._asdict(), ensure_ascii=False) + "\n")
                report.refuse(outcome)
    return FileReport(source, layout.name, kept, num_refused)


if __name__ == "__main__":
    run_program(main)
