"""The rows of a recipe's data section, as its files and its synthesis give them."""

import json
from collections.abc import Iterable
from pathlib import Path

from data.preparation.entries import Entry, entries_of, entry_of
from data.reading import NumberedRow, parse_row, read_rows
from data.row import JsonObject, Row
from data.settings import DataSection
from data.task_api.scenarios import synthesize
from data.unfinished import Unfinished

TRAIN, SYNTHESIZED = "data.train", "data.synthesize"
"""Labels of the rows that belong to no source of `data.mixture`."""


def read_entries(section: DataSection, unfinished: Unfinished) -> tuple[list[Entry], list[Entry]]:
    """Training rows and held-out rows. Raises UserError with the first fault of a file that has any."""
    files = [(TRAIN, section.train), *((source.label, source.files) for source in section.mixture)]
    train = [entry for label, paths in files for path in paths for entry in _of_file(label, path, section, unfinished)]
    test = [entry for path in section.test for entry in _of_file("data.test", path, section, unfinished)]
    if wanted := section.synthesize:
        made = synthesize(wanted.train, wanted.test, wanted.seed, wanted.level)
        train += _made(made.train, "train")
        test += _made(made.test, "test")
    return train, test


def _of_file(source: str, path: Path, section: DataSection, unfinished: Unfinished) -> list[Entry]:
    return entries_of(source, read_rows(path, section.rules.errors_alone(), unfinished))


def _made(rows: Iterable[JsonObject], name: str) -> list[Entry]:
    entries = []
    for line, raw in enumerate(rows, start=1):
        row, findings = parse_row(Path(f"synthesized-{name}"), line, json.dumps(raw))
        errors = [finding for finding in findings if finding.is_error]
        assert isinstance(row, Row) and not errors, f"synthesized row breaks a rule: {errors[:1]}"
        entries.append(entry_of(SYNTHESIZED, NumberedRow(Path(f"synthesized-{name}"), line, row)))
    return entries
