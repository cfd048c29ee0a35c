"""The rows of a run, as `data.preparation.stages` leaves them, written to runs/NAME/rows/.

Nothing is dropped silently: what is left out is counted by cause and listed, row by row, in dropped.jsonl.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from data.preparation.card import data_card
from data.preparation.entries import Dropped, Entry
from data.preparation.lengths import Ruler
from data.preparation.stages import Prepared, prepare_rows
from data.reading import file_sha256, is_large
from data.render import Tokenizer
from data.row import JsonObject
from data.rules.severities import DEFAULTS, FILE_NAME, RuleSeverities
from data.settings import DataSection
from data.template import Template
from data.unfinished import NOTHING_KEPT, Unfinished
from data.user_error import UserError
from data.whole_file import whole_file, write_whole


class RowStore(NamedTuple):
    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "train.jsonl"

    @property
    def validation(self) -> Path:
        """There when `data.split.validation` asks for it."""
        return self.folder / "validation.jsonl"

    @property
    def test(self) -> Path:
        return self.folder / "test.jsonl"

    @property
    def pairs(self) -> Path:
        """Preference rows of the model's own mistakes, where `data.pairs` was asked for them."""
        return self.folder / "pairs.jsonl"

    @property
    def dropped(self) -> Path:
        return self.folder / "dropped.jsonl"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def card(self) -> Path:
        return self.folder / "data_card.md"

    @property
    def rules(self) -> Path:
        """The severities that the rows were checked under, where they are not the defaults."""
        return self.folder / FILE_NAME

    @property
    def unfinished(self) -> Path:
        """Of a run that was killed on large files: what it had found."""
        return self.folder.with_name("rows.unfinished")

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
    files = [file_sha256(path) for path in section.files]
    inputs = [section.model_dump(mode="json"), files, template.sha256, max_length]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def fill_row_store(
    store: RowStore, section: DataSection, tokenizer: Tokenizer, template: Template, max_length: int
) -> JsonObject:
    """Write the rows of a recipe's data section; returns the summary that is also written beside them.

    Raises UserError for all that `prepare_rows` refuses, before anything is written.
    """
    if section.hard and store.folder.parent.resolve() in section.hard.eval.resolve().parents:
        what = "it lies in the folder of this run, which writes its own evaluation there"
        raise UserError(what, where=str(section.hard.eval), fix="give the recipe another name, or copy the file out")
    ruler = Ruler(tokenizer, template, max_length, section.too_long)
    key = rows_key(section, template, max_length)
    unfinished = _unfinished(store, section, tokenizer, key)
    prepared = prepare_rows(section, ruler, store.test, unfinished)
    summary: JsonObject = {name: _counts(rows, prepared.dropped[name]) for name, rows in prepared.splits.items()}
    card = data_card(section, ruler, prepared, summary)
    if len(prepared.reports) > 1:
        summary["stages"] = [report._asdict() for report in prepared.reports]
    store.train.unlink(missing_ok=True)  # or rows of an earlier recipe would lie beside this one's key
    write_whole(store.key, key)
    _write_rules(store, section.rules)
    write_whole(store.card, card)
    write_whole(store.summary, json.dumps(summary, indent=2) + "\n")
    _write_rows(store, prepared)
    unfinished.remove()
    return summary


def _unfinished(store: RowStore, section: DataSection, tokenizer: Tokenizer, key: str) -> Unfinished:
    """Small files are sooner prepared again than written down."""
    if not any(map(is_large, section.files)):
        return NOTHING_KEPT
    tokens = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
    return Unfinished(store.unfinished, f"{key} {tokens}")


def _counts(rows: list[Entry], dropped: list[Dropped]) -> JsonObject:
    lengths = [entry.num_tokens for entry in rows]
    return {
        "rows": len(rows), "dropped": dict(Counter(item.cause for item in dropped)), "tokens": sum(lengths),
        "trained_tokens": sum(entry.num_trained for entry in rows), "longest_tokens": max(lengths),
    }  # fmt: skip


def _write_rules(store: RowStore, rules: RuleSeverities) -> None:
    """Whoever reads the rows again must not refuse what the recipe allows."""
    if rules == DEFAULTS:
        store.rules.unlink(missing_ok=True)
    else:
        write_whole(store.rules, rules.model_dump_json(exclude_defaults=True, indent=2) + "\n")


def _write_rows(store: RowStore, prepared: Prepared) -> None:
    with whole_file(store.dropped) as file:
        for lost in prepared.dropped.values():
            file.writelines(json.dumps(item._asdict()) + "\n" for item in lost)
    if "validation" not in prepared.splits:
        store.validation.unlink(missing_ok=True)
    # The training rows come last: where they lie, a program takes the whole store as filled.
    for path, name in ((store.validation, "validation"), (store.test, "test"), (store.train, "train")):
        if name in prepared.splits:
            with whole_file(path) as file:
                for entry in prepared.splits[name]:
                    file.write(entry.row.model_dump_json(exclude_unset=True) + "\n")
