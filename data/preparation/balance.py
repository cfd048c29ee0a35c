"""Caps on over-represented tools or personas."""

import random
import statistics
from collections import Counter

from data.preparation.called_tools import called_names
from data.preparation.entries import Dropped, Entry, StageResult
from data.preparation.settings import Balance
from data.row_summary import persona


def cap(entries: list[Entry], settings: Balance, seed: int) -> StageResult:
    """Leave out random rows until no tool (persona) has more than `max_ratio` times the median one's rows.

    A row goes only when every tool that it calls is over the cap, so no rare tool loses a row; a tool may thus stay
    above the cap. Rows without a call (without a system text) are left alone.
    """
    keys = [called_names(entry.row) if settings.by == "tool" else [persona(entry.row)] for entry in entries]
    counts = Counter(key for own in keys for key in own if key)
    if not counts:
        return StageResult(entries, [], {"cap": None})
    limit = int(settings.max_ratio * statistics.median(counts.values()))
    out = set()
    for position in random.Random(f"{seed} balance").sample(range(len(entries)), len(entries)):
        own = keys[position]
        if any(own) and all(counts[key] > limit for key in own):
            out.add(position)
            counts.subtract(own)
    dropped = [
        Dropped(entries[position].where, "balance", f"{settings.by} {keys[position][0]!r} has over {limit} rows")
        for position in sorted(out)
    ]
    kept = [entry for position, entry in enumerate(entries) if position not in out]
    return StageResult(kept, dropped, {"by": settings.by, "cap": limit, "rows_of_the_largest": max(counts.values())})
