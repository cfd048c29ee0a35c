"""Text that a regular expression matches, for the `pattern` of a JSON Schema."""

import re
from random import Random
from re import _constants as codes  # type: ignore[attr-defined]  # no public module gives a pattern's parts
from re import _parser as parser  # type: ignore[attr-defined]
from string import ascii_letters, digits
from typing import Any

_MORE = 3  # repetitions beyond the least
_CATEGORIES = {codes.CATEGORY_DIGIT: digits, codes.CATEGORY_WORD: ascii_letters + digits, codes.CATEGORY_SPACE: " "}
_PRINTABLE = ascii_letters + digits + " -_.,:/#+@"


class UnmadeError(Exception):
    """No value could be made that the schema takes; the message says of what."""


def pattern_text(pattern: str, rng: Random) -> str:
    """Raises UnmadeError for look-arounds, back references and what else is no plain list of letters."""
    try:
        return "".join(_text(part, rng) for part in parser.parse(pattern))
    except (re.error, OverflowError) as error:
        raise UnmadeError(f"pattern {pattern!r}: {error}") from error


def _text(part: tuple[Any, Any], rng: Random) -> str:
    kind, value = part
    if kind is codes.LITERAL:
        return chr(value)
    if kind is codes.AT:
        return ""
    if kind is codes.IN:
        return rng.choice(_letters(value))
    if kind in (codes.ANY, codes.NOT_LITERAL):
        return rng.choice([letter for letter in ascii_letters + digits if kind is codes.ANY or ord(letter) != value])
    if kind is codes.SUBPATTERN:
        return "".join(_text(inner, rng) for inner in value[-1])
    if kind is codes.BRANCH:
        return "".join(_text(inner, rng) for inner in rng.choice(value[1]))
    if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = value
        times = rng.randint(least, min(most, least + _MORE))
        return "".join(_text(one, rng) for _ in range(times) for one in inner)
    raise UnmadeError(f"a pattern with {kind}")


def _letters(choices: list[tuple[Any, Any]]) -> str:
    is_negated = choices[0][0] is codes.NEGATE
    letters = ""
    for kind, value in choices[is_negated:]:
        if kind is codes.LITERAL:
            letters += chr(value)
        elif kind is codes.RANGE:
            letters += "".join(map(chr, range(value[0], min(value[1], value[0] + 127) + 1)))
        elif kind is codes.CATEGORY and value in _CATEGORIES:
            letters += _CATEGORIES[value]
        else:
            raise UnmadeError(f"a pattern with {value}")
    left = "".join(letter for letter in _PRINTABLE if letter not in letters) if is_negated else letters
    if not left:
        raise UnmadeError("a pattern of letters that are not printable")
    return left
