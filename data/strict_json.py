"""JSON with every loss refused: Python's own reader takes NaN, and drops the first of two equal keys."""

import json
import math
import sys
from typing import Any

BOM = "\ufeff"
MAX_DEPTH = 100  # of arrays and objects in each other; templates and serialisers end in RecursionError beyond 150

to_json = json.JSONEncoder(ensure_ascii=False).encode
"""`json.dumps(value, ensure_ascii=False)` in half the time: that makes an encoder for each call."""


def load_json(text: str) -> Any:
    """Raises ValueError (json.JSONDecodeError where a column is known) for what would not survive a round trip."""
    try:
        value = json.loads(text) if text.startswith(BOM) else _decoder.decode(text)  # the former tells a BOM by name
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        if "int_max_str_digits" in str(error):  # Python's advice to programmers
            raise ValueError(f"a number of more than {sys.get_int_max_str_digits():,} digits") from error
        raise
    # Few texts hold so many brackets; the others need not be looked through.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    # Half a surrogate pair is legal as an escape, but no tokenizer and no file takes it.
    if "\\u" in text and not is_writable(to_json(value)):
        raise ValueError("half a surrogate pair (\\ud800 to \\udfff) is no character")
    return value


def is_writable(text: str) -> bool:
    """False for half a surrogate pair, which `json.loads` takes and no file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} comes twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(number: str) -> float:
    if math.isinf(float(number)):
        raise ValueError(f"the number {number} is too large")
    return float(number)


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
"""As `json.loads` with these, which makes a decoder for each call."""
