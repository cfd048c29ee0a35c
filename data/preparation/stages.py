"""The way of a recipe's rows from their files into the run, in this order:

1. read: every row of every file, checked; a fault stops all.
2. dedupe (`data.dedupe`): of training rows that are the same, or nearly, the first stays, whatever their sources;
    with `near`, what is nearly a row of `data.test` goes too.
3. split (`data.split`): test and validation rows leave the training rows, in groups that stay together.
4. lengths: every row is rendered; those longer than `sft.max_length` go (`data.too_long`), on every side.
5. leaks: no row that may be trained on is also held out (`data.rules`).
6. hard (`data.hard`): training rows that an evaluation got wrong are chosen, or taken more often.
7. balance (`data.balance`): over-represented tools or personas are capped.
8. mixture (`data.mixture`): each source as often as its weight or its number of rows says.
9. augment (`data.augment`): training rows are changed, and should-not-call rows added.
10. shares (`data.mixture`): sources with a share are filled up to it, so that it is one of the final rows. Their rows
    take part in 1, 2, 4 and 5 alone, and what is like them is not held out.

Rows keep the order of their files within a source; the trainer shuffles them. Every draw comes from `data.seed`, each
stage's from a generator of its own: the same recipe and files give the same bytes, and a stage more changes no other
stage's draws.

Rows of a large file (`data.reading.LARGE_BYTES`) stay there: of each the stages hold its place, its lengths and hashes.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from data.preparation.augment import augment
from data.preparation.balance import cap
from data.preparation.dedupe import drop_duplicates, drop_near_held_out
from data.preparation.entries import Dropped, Entry, EntryRows, StageResult
from data.preparation.hard_rows import read_hard_keys, take_hard
from data.preparation.lengths import Ruler, keep_fitting
from data.preparation.mixture import add_shares, mix
from data.preparation.sources import read_entries
from data.preparation.split import split_rows
from data.preparation.tool_lists import OtherTools
from data.reading import require_no_error
from data.row import JsonObject
from data.rules.sets import set_findings
from data.settings import DataSection
from data.unfinished import Unfinished
from data.user_error import UserError


class StageReport(NamedTuple):
    stage: str
    rows_in: int
    rows_out: int
    """Of the training rows."""
    dropped: dict[str, int]
    """By cause."""
    notes: JsonObject


class Prepared(NamedTuple):
    splits: dict[str, list[Entry]]
    """`train` and `test`, and `validation` where the recipe asks for it."""
    dropped: dict[str, list[Dropped]]
    """For each of the splits."""
    reports: list[StageReport]
    """Of what happened to the training rows, in order."""


class _Training:
    """The training rows on their way, and what became of them."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.dropped: list[Dropped] = []
        self.reports: list[StageReport] = []

    def pass_on(self, stage: str, result: StageResult) -> None:
        causes = dict(Counter(item.cause for item in result.dropped))
        self.reports.append(StageReport(stage, len(self.entries), len(result.kept), causes, result.notes))
        self.entries = result.kept
        self.dropped += result.dropped


def prepare_rows(section: DataSection, ruler: Ruler, own_test: Path, unfinished: Unfinished) -> Prepared:
    """All stages; `own_test` is where the run's held-out rows are written, `unfinished` holds what a killed run found.

    Raises UserError for a file with a fault, a row that cannot be rendered, too long a row where that is refused, a
    held-out row that is also a training row, a setting that cannot be met, or no row left.
    """
    entries, test = read_entries(section, unfinished)
    training = _Training(entries)
    hard = read_hard_keys(section.hard.eval, entries, [*section.test, own_test]) if section.hard else set()
    if section.dedupe != "off":
        result, first_of = drop_duplicates(entries, section.dedupe, unfinished)
        hard = {first_of.get(key, key) for key in hard}
        training.pass_on("dedupe", result)
    if section.dedupe == "near" and test:
        training.pass_on("held out", drop_near_held_out(training.entries, test, unfinished))
    splits = {"train": training.entries, "test": test}
    if section.split:
        shared = {source.label for source in section.mixture if source.share}
        sides = split_rows(training.entries, section.split, shared, section.seed, unfinished)
        training.pass_on("split", StageResult(sides.train, sides.dropped, sides.notes))
        splits = {"train": sides.train, "validation": sides.validation, "test": sides.test or test}
        if not section.split.validation:
            del splits["validation"]
    dropped = {}
    for name, rows in splits.items():
        _require_rows(name, rows)
        result = keep_fitting(name, rows, ruler, unfinished)
        splits[name], dropped[name] = result.kept, result.dropped
        if name == "train":
            training.pass_on("lengths", result)
    trained, held_out = (EntryRows(splits[name]) for name in ("train", "test"))
    require_no_error(set_findings(trained, held_out, section.rules.errors_alone()))
    _choose(training, section, hard, ruler, [*splits["test"], *splits.get("validation", [])])
    _require_rows("train", training.entries)
    return Prepared(splits | {"train": training.entries}, dropped | {"train": training.dropped}, training.reports)


def _choose(
    training: _Training, section: DataSection, hard: set[tuple[Path, int]], ruler: Ruler, held_out: list[Entry]
) -> None:
    """Stages 6 to 10: how often each training row is taken, and in which form."""
    shared = [source for source in section.mixture if source.share]
    labels = {source.label for source in shared}
    pool = [entry for entry in training.entries if entry.source in labels]
    training.entries = [entry for entry in training.entries if entry.source not in labels]
    if section.hard:
        training.pass_on("hard", take_hard(training.entries, hard, section.hard, section.seed))
    if section.balance:
        training.pass_on("balance", cap(training.entries, section.balance, section.seed))
    if section.mixture:
        weighted = [source for source in section.mixture if not source.share]
        training.pass_on("mixture", mix(training.entries, weighted, section.seed))
    if section.augment.is_on:
        others = OtherTools(training.entries + pool, held_out)
        changed = augment(training.entries, others, section.augment, section.rules, ruler, section.seed)
        training.pass_on("augment", changed)
    if shared:
        training.pass_on("shares", add_shares(training.entries, pool, shared, section.seed))


def _require_rows(name: str, entries: list[Entry]) -> None:
    if not entries:
        fix = f"name files under data.{name}, or synthesize" + (", or give data.split" if name == "test" else "")
        raise UserError(f"no {name} rows", where=f"data.{name}", fix=fix)
