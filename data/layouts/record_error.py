"""Why a record cannot become a row, and the small readers that raise it."""

from typing import Any

from data.row import JsonObject


class RecordError(Exception):
    """What stands in the way, with one word to count it by and what the user can do."""

    def __init__(self, cause: str, what: str, fix: str) -> None:
        self.cause, self.what, self.fix = cause, what, fix
        super().__init__(what)


def as_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise RecordError("form", f"{what} is {_kind(value)}, not text", "mend the record")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError("form", f"{what} is {_kind(value)}, not a list", "mend the record")
    return value


def as_object(value: Any, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise RecordError("form", f"{what} is {_kind(value)}, not an object", "mend the record")
    return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "missing"}
    return kinds.get(type(value), "a number")
