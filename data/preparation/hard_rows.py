"""Rows that an evaluation of the training files got wrong, found by the ids of its items (FILE:LINE#MESSAGE)."""

import random
from pathlib import Path

from data.evaluated_items import read_evaluated
from data.preparation.amounts import take
from data.preparation.entries import Dropped, Entry, StageResult
from data.preparation.settings import Hard
from data.user_error import UserError


def read_hard_keys(path: Path, train: list[Entry], held_out: list[Path]) -> set[tuple[Path, int]]:
    """Keys of the training rows that the evaluation has an item of wrong or unreadable.

    Raises UserError for another file than an eval.json, for one that asked `held_out` rows or others that are not
    training rows, and for one that asked an earlier version of the training files.
    """
    files = {file: file.resolve() for file in {entry.numbered.path for entry in train}}
    rows = {(files[entry.numbered.path], entry.numbered.line): entry for entry in train}
    refused = {file.resolve() for file in held_out}
    hard = set()
    for result in read_evaluated(path):
        file, line, _ = result.place
        if file in refused or file not in files.values():
            kind = "held-out rows" if file in refused else "a file that is no training file of this recipe"
            what = f"it was made on {kind} ({file.name}), and only rows of training files may be chosen"
            raise UserError(what, where=str(path), fix="run eval.run on the training files")
        entry = rows.get((file, line))
        if entry is None or not result.is_of(entry.row):
            what = f"{result.id} is not what the file now has there"
            raise UserError(what, where=str(path), fix="run eval.run on the training files again")
        if result.is_wrong:
            hard.add(entry.key)
    if not hard:
        raise UserError("it got no training row wrong", where=str(path), fix="leave data.hard out")
    return hard


def take_hard(train: list[Entry], keys: set[tuple[Path, int]], settings: Hard, seed: int) -> StageResult:
    """Hard rows `weight` times, then a random `rest` of the others."""
    rng = random.Random(f"{seed} hard")
    hard = [entry for entry in train if entry.key in keys]
    others = [entry for entry in train if entry.key not in keys]
    chosen = take(hard, round(settings.weight * len(hard)), rng)
    rest = take(others, round(settings.rest * len(others)), rng)
    dropped = [Dropped(entry.where, "hard", "not drawn from the hard rows") for entry in chosen.left]
    dropped += [Dropped(entry.where, "hard", "not among the rows that the evaluation got wrong") for entry in rest.left]
    notes = {"hard_rows": len(hard), "taken": len(chosen.taken), "others": len(rest.taken)}
    return StageResult(chosen.taken + rest.taken, dropped, notes)
