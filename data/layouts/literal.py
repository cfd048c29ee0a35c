"""Values written as text: JSON, or the Python literals that some data sets hold in its place."""

import ast
import io
import itertools
import json
import math
import tokenize
import warnings
from typing import Any

from data.layouts.record_error import RecordError
from data.row import JsonObject
from data.strict_json import load_json


def read_value(text: str, what: str) -> Any:
    """The value of JSON text or, where it is no JSON, of a Python literal that JSON could hold too.

    A literal is parsed, never run. Raises RecordError for a text with more than one reading: a key that comes twice,
    two strings side by side, a tuple or a set.
    """
    try:
        return load_json(text)
    except ValueError as error:
        json_fault = str(error)
    try:
        return python_literal(text)
    except ValueError as error:
        raise RecordError(
            "unreadable", f"{what} is neither JSON ({json_fault}) nor a Python literal ({error})", "write it as JSON"
        ) from error


def read_object(text: str, what: str) -> JsonObject:
    value = read_value(text, what)
    if not isinstance(value, dict):
        raise RecordError("unreadable", f"{what} holds no object", "write one JSON object")
    return value


def python_literal(text: str) -> Any:
    """Raises ValueError for anything but dicts with text keys, lists, strings, finite numbers, True, False and None."""
    text = text.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # '\d' means the same as r'\d', as Python has it
            warnings.simplefilter("ignore", DeprecationWarning)
            tree = ast.parse(text, mode="eval").body
        strings = [token.type == tokenize.STRING for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ValueError(getattr(error, "msg", None) or str(error) or "nested too deeply") from error
    if any(first and second for first, second in itertools.pairwise(strings)):
        raise ValueError("two strings side by side")
    try:
        value = _value(tree)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be written
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Dict():
            keys = [_value(key) if key else None for key in node.keys]
            if not all(isinstance(key, str) for key in keys):
                raise ValueError("a key is no text")
            if len(set(keys)) < len(keys):
                raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} comes twice in one object")
            return dict(zip(keys, map(_value, node.values), strict=True))
        case ast.List():
            return [_value(item) for item in node.elts]
        case ast.Constant(value=bool() | int() | str() | None):
            return node.value
        case ast.Constant(value=float(number)) if math.isfinite(number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if math.isfinite(number):
            return -number
    raise ValueError(f"{ast.unparse(node)[:40]} is no value that JSON has")


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def leading_json(text: str, what: str) -> tuple[Any, str]:
    """The JSON value that a text begins with, and the rest of the text."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        return load_json(text[:end]), text[end:]
    except (ValueError, RecursionError) as error:
        raise RecordError("unreadable", f"{what} is not JSON: {error}", "write it as JSON") from error
