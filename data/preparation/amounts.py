"""How many of some rows are taken: whole repetitions, then a random part without replacement."""

import random
from typing import NamedTuple

from data.preparation.entries import Entry


class Taken(NamedTuple):
    taken: list[Entry]
    left: list[Entry]
    """Those that were not taken even once."""


def take(entries: list[Entry], count: int, rng: random.Random) -> Taken:
    """`count` entries: all of them as often as that holds them whole, and a random part of them once more."""
    if not entries:
        return Taken([], [])
    whole, part = divmod(count, len(entries))
    drawn = set(rng.sample(range(len(entries)), part))
    taken = entries * whole + [entry for position, entry in enumerate(entries) if position in drawn]
    left = [] if whole else [entry for position, entry in enumerate(entries) if position not in drawn]
    return Taken(taken, left)
