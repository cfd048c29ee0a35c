"""The data card: where the rows of a run come from, what was done to them, and what they hold. No date, no machine:
the same recipe and files give the same bytes."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import NamedTuple

from data.preparation.called_tools import called_names
from data.preparation.dedupe import count_duplicates
from data.preparation.entries import Entry
from data.preparation.lengths import Ruler
from data.preparation.stages import Prepared, StageReport
from data.reading import file_sha256
from data.row import JsonObject
from data.row_summary import SHAPES, Shape, persona, shape_of
from data.settings import DataSection

MAX_LISTED = 50
"""Tools and personas named one by one."""
MAX_WRITTEN = 200
"""Letters of a persona."""
PACKAGES = ("numpy", "pydantic", "rapidfuzz", "tokenizers", "transformers")
"""Whose versions may change a row, a token or a draw."""


class Counts(NamedTuple):
    """Rows of a split by what they hold."""

    shapes: Counter[Shape]
    personas: Counter[str]
    listed: Counter[str]
    """By the name of a tool."""
    called: Counter[str]


def data_card(section: DataSection, ruler: Ruler, prepared: Prepared, summary: JsonObject) -> str:
    """The card as Markdown."""
    train = prepared.splits["train"]
    counted = {name: _counts(entries) for name, entries in prepared.splits.items()}
    parts = [
        "# Data card",
        _rows(counted, summary),
        f"Training rows that are an earlier one again, repetitions by weight not counted: {count_duplicates(train)}.",
        "## Files",
        _files(section),
        "## Sources of the training rows",
        _counted("source", Counter(entry.source for entry in train), len(train)),
        "## What was done to the training rows",
        _stages(prepared.reports),
        "## Tools",
        _tools(counted),
        "## Personas of the training rows",
        _counted("first line of the system text", counted["train"].personas, len(train)),
        "## Settings",
        "```json\n" + json.dumps(_settings(section, ruler), indent=2, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _counts(entries: Iterable[Entry]) -> Counts:
    """Each row is looked at once: it may have to be read for that."""
    counts = Counts(Counter(), Counter(), Counter(), Counter())
    for entry in entries:
        row = entry.row
        counts.shapes[shape_of(row)] += 1
        counts.personas[persona(row) or "(none)"] += 1
        counts.listed.update(row.tool_names())
        counts.called.update(called_names(row))
    return counts


def _rows(counted: dict[str, Counts], summary: JsonObject) -> str:
    rows = []
    for name, counts in counted.items():
        figures = [summary[name][key] for key in ("rows", "tokens", "trained_tokens", "longest_tokens")]
        rows.append([name, *figures, *(counts.shapes[shape] for shape in SHAPES), _causes(summary[name]["dropped"])])
    return _table(["split", "rows", "tokens", "trained", "longest", *SHAPES, "left out"], rows)


def _files(section: DataSection) -> str:
    rows = [[str(path), file_sha256(path), "training", "", ""] for path in section.train]
    for source in section.mixture:
        rows += [[str(path), file_sha256(path), source.label, source.licence, source.source] for path in source.files]
    rows += [[str(path), file_sha256(path), "test", "", ""] for path in section.test]
    if section.hard:
        rows.append([str(section.hard.eval), file_sha256(section.hard.eval), "evaluation", "", ""])
    if section.synthesize:
        rows.append(["(made by data.synthesize)", "", section.synthesize.model_dump_json(), "", ""])
    return _table(["file", "sha256", "used as", "licence", "source"], rows)


def _stages(reports: list[StageReport]) -> str:
    rows = [
        [report.stage, report.rows_in, report.rows_out, _causes(report.dropped), json.dumps(report.notes)]
        for report in reports
    ]
    return _table(["stage", "rows in", "rows out", "left out", "notes"], rows)


def _tools(counted: dict[str, Counts]) -> str:
    listed, called = counted["train"].listed, [counts.called for counts in counted.values()]
    names = sorted(set(listed).union(*called), key=lambda name: (-sum(calls[name] for calls in called), name))
    rows = [[name, listed[name], *(calls[name] for calls in called)] for name in names[:MAX_LISTED]]
    return _table(["tool", "listed in train", *(f"called in {split}" for split in counted)], rows) + _more(names)


def _counted(what: str, counts: Counter[str], total: int) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [[name[:MAX_WRITTEN], number, f"{number / total:.1%}"] for name, number in ordered[:MAX_LISTED]]
    return _table([what, "rows", "share"], rows) + _more(ordered)


def _settings(section: DataSection, ruler: Ruler) -> JsonObject:
    return {
        "data": section.model_dump(mode="json", exclude_defaults=True) | {"seed": section.seed},
        "template": {"name": ruler.template.name, "sha256": ruler.template.sha256},
        "max_length": ruler.max_length,
        "versions": {name: version(name) for name in PACKAGES},
    }


def _causes(dropped: dict[str, int]) -> str:
    return ", ".join(f"{number} {cause}" for cause, number in dropped.items()) or "none"


def _more(names: Sequence[object]) -> str:
    return f"\n\nand {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""


def _table(head: list[str], rows: Sequence[Sequence[object]]) -> str:
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
