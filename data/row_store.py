"""The rows of a run: read or made, checked, rendered once for their length, and written to runs/NAME/rows/.

Nothing is dropped silently: what is left out is counted by cause and listed, row by row, in dropped.jsonl.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rich.progress import track

from data.reading import NumberedRow, file_sha256, parse_row, read_rows, require_no_error
from data.render import Tokenizer, render
from data.row import JsonObject, Row
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS, FILE_NAME, RuleSeverities
from data.settings import DataSection
from data.task_api.scenarios import synthesize
from data.template import Template
from data.user_error import UserError
from data.whole_file import write_whole


class Dropped(NamedTuple):
    where: str
    cause: str
    detail: str


class RowStore(NamedTuple):
    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "train.jsonl"

    @property
    def test(self) -> Path:
        return self.folder / "test.jsonl"

    @property
    def dropped(self) -> Path:
        return self.folder / "dropped.jsonl"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def rules(self) -> Path:
        """The severities that the rows were checked under, where they are not the defaults."""
        return self.folder / FILE_NAME

    @property
    def key(self) -> Path:
        """Holds the `rows_key` that the rows were made with."""
        return self.folder / "key.sha256"

    def require_made_with(self, key: str) -> None:
        """Raises UserError for rows that other settings or files made."""
        if not self.key.is_file() or self.key.read_text() != key:
            raise UserError(
                "the rows were made with other data, template or max_length than the recipe has now",
                where=str(self.folder),
                fix="run data.prepare RECIPE to make them anew, or give the recipe another name",
            )


def rows_key(section: DataSection, template: Template, max_length: int) -> str:
    """Hash of all that shapes the rows, the bytes of the data files too."""
    files = [file_sha256(path) for path in (*section.train, *section.test)]
    inputs = [section.model_dump(mode="json"), files, template.sha256, max_length]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def fill_row_store(
    store: RowStore, section: DataSection, tokenizer: Tokenizer, template: Template, max_length: int
) -> JsonObject:
    """Write the rows of a recipe's data section; returns the summary that is also written beside them.

    Raises UserError for a file with a fault, a row that cannot be rendered, too long a row where that is refused,
    a held-out row that is also a training row, or no row left.
    """
    splits = {"train": _read(section.train, section.rules), "test": _read(section.test, section.rules)}
    if section.synthesize:
        wanted = section.synthesize
        made = synthesize(wanted.train, wanted.test, wanted.seed, wanted.level)
        splits["train"] += _made(made.train, "train")
        splits["test"] += _made(made.test, "test")
    summary: JsonObject = {}
    dropped: list[Dropped] = []
    kept: dict[str, list[NumberedRow]] = {}
    for name, rows in splits.items():
        if not rows:
            raise UserError(f"no {name} rows", where=f"data.{name}", fix=f"name files under data.{name}, or synthesize")
        kept[name], lost, counts = _measure(name, rows, section, tokenizer, template, max_length)
        dropped += lost
        summary[name] = counts
    require_no_error(set_findings(kept["train"], kept["test"], section.rules.errors_alone()))
    write_whole(store.key, rows_key(section, template, max_length))
    _write_rules(store, section.rules)
    _write(store, kept, dropped, summary)
    return summary


def _read(paths: list[Path], rules: RuleSeverities) -> list[NumberedRow]:
    return [row for path in paths for row in read_rows(path, rules)]


def _made(rows: Iterable[JsonObject], name: str) -> list[NumberedRow]:
    numbered = []
    for line, raw in enumerate(rows, start=1):
        row, findings = parse_row(Path(f"synthesized-{name}"), line, json.dumps(raw))
        errors = [finding for finding in findings if finding.is_error]
        assert isinstance(row, Row) and not errors, f"synthesized row breaks a rule: {errors[:1]}"
        numbered.append(NumberedRow(Path(f"synthesized-{name}"), line, row))
    return numbered


def _measure(
    name: str, rows: list[NumberedRow], section: DataSection, tokenizer: Tokenizer, template: Template, max_length: int
) -> tuple[list[NumberedRow], list[Dropped], JsonObject]:
    kept, dropped, lengths, num_trained = [], [], [], 0
    for numbered in track(rows, description=f"rendering {name} rows", transient=True):
        where = f"{numbered.path}:{numbered.line}"
        try:
            rendered = render(numbered.row, tokenizer, template)
        except UserError as error:
            raise UserError(error.what, where=where, fix=error.fix) from error
        if len(rendered.input_ids) > max_length:
            detail = f"{len(rendered.input_ids)} tokens, sft.max_length is {max_length}"
            if section.too_long == "fail":
                raise UserError(
                    f"row too long: {detail}", where=where, fix="raise sft.max_length, or data.too_long=drop"
                )
            dropped.append(Dropped(where, "too_long", detail))
            continue
        kept.append(numbered)
        lengths.append(len(rendered.input_ids))
        num_trained += rendered.num_trained
    if not kept:
        raise UserError(f"all {len(rows)} {name} rows are longer than {max_length} tokens", fix="raise sft.max_length")
    counts = {
        "rows": len(kept), "dropped": dict(Counter(item.cause for item in dropped)), "tokens": sum(lengths),
        "trained_tokens": num_trained, "longest_tokens": max(lengths),
    }  # fmt: skip
    return kept, dropped, counts


def _write_rules(store: RowStore, rules: RuleSeverities) -> None:
    """Whoever reads the rows again must not refuse what the recipe allows."""
    if rules == DEFAULTS:
        store.rules.unlink(missing_ok=True)
    else:
        write_whole(store.rules, rules.model_dump_json(exclude_defaults=True, indent=2) + "\n")


def _write(store: RowStore, kept: dict[str, list[NumberedRow]], dropped: list[Dropped], summary: JsonObject) -> None:
    write_whole(store.dropped, "".join(json.dumps(item._asdict()) + "\n" for item in dropped))
    write_whole(store.summary, json.dumps(summary, indent=2) + "\n")
    # The training rows come last: where they lie, a program takes the whole store as filled.
    for path, name in ((store.test, "test"), (store.train, "train")):
        lines = [numbered.row.model_dump_json(exclude_unset=True) for numbered in kept[name]]
        write_whole(path, "\n".join(lines) + "\n")
