"""How much of each source is trained on."""

import random

from data.preparation.amounts import take
from data.preparation.entries import Dropped, Entry, StageResult
from data.preparation.settings import Source
from data.row import JsonObject


def mix(entries: list[Entry], sources: list[Source], seed: int) -> StageResult:
    """Sources with a weight or a number of rows; rows of no source, as synthesized ones, are taken once.

    A number of rows is taken without replacement, up to what is there; only a weight above 1 repeats rows.
    """
    rng = random.Random(f"{seed} mixture")
    named = {source.label for source in sources}
    kept: list[Entry] = []
    dropped: list[Dropped] = []
    notes: JsonObject = {}
    for source in sources:
        own = [entry for entry in entries if entry.source == source.label]
        wanted = source.rows or round((source.weight or 1) * len(own))
        result = take(own, min(wanted, len(own)) if source.rows else wanted, rng)
        kept += result.taken
        dropped += _left_out(result.left, source)
        notes[source.label] = {"rows_in": len(own), "wanted": wanted, "rows_out": len(result.taken)}
    return StageResult(kept + [entry for entry in entries if entry.source not in named], dropped, notes)


def add_shares(entries: list[Entry], pool: list[Entry], sources: list[Source], seed: int) -> StageResult:
    """Beside `entries`, as many rows of each source as make its share of all; each at most once."""
    rng = random.Random(f"{seed} shares")
    total = len(entries) / (1 - sum(source.share or 0 for source in sources))
    kept, dropped, notes = list(entries), [], {}
    for source in sources:
        own = [entry for entry in pool if entry.source == source.label]
        wanted = round((source.share or 0) * total)
        result = take(own, min(wanted, len(own)), rng)
        kept += result.taken
        dropped += _left_out(result.left, source)
        notes[source.label] = {"rows_in": len(own), "wanted": wanted, "rows_out": len(result.taken)}
    return StageResult(kept, dropped, notes)


def _left_out(entries: list[Entry], source: Source) -> list[Dropped]:
    return [Dropped(entry.where, "mixture", f"not drawn from source {source.label}") for entry in entries]
