"""What pydantic says of a line that has not the form of a row, in the words of OpenAI's fine-tuning file contract."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from data.row import BRANCHES, JsonObject
from data.rules.findings import Fault

INPUT = 'input must be an object with "messages"'
FIX = "see the row format in the README"
Location = tuple[str | int, ...]


def form_faults(error: ValidationError) -> list[Fault]:
    """One fault a key."""
    details = error.errors()
    # A part, call or tool of a kind that is not taken: that it also lacks what our kind has says nothing.
    foreign = [detail["loc"][:-1] for detail in details if _is_foreign_kind(detail)]
    faults: dict[tuple[int | None, str], Fault] = {}
    for detail in details:
        location = detail["loc"]
        if any(location[: len(of)] == of for of in foreign) and not _is_foreign_kind(detail):
            continue
        message, key = _place(location)
        rule = "extra_key" if detail["type"] == "extra_forbidden" else "form"
        reason = _reason(detail, key)
        faults.setdefault((message, key), Fault(rule, reason, message, key, FIX))
    return list(faults.values())


def without_extra_keys(raw: JsonObject, error: ValidationError) -> JsonObject | None:
    """The row less the keys that the layout has not; None when something else is wrong, too."""
    if any(detail["type"] != "extra_forbidden" for detail in error.errors()):
        return None
    row = raw
    for detail in error.errors():
        row = _without(row, tuple(part for part in detail["loc"] if part not in BRANCHES))
    return row


def _without(value: Any, location: Location) -> Any:
    first, *rest = location
    if isinstance(value, list):
        return [_without(item, tuple(rest)) if index == first else item for index, item in enumerate(value)]
    if rest:
        return value | {first: _without(value[first], tuple(rest))}
    return {key: item for key, item in value.items() if key != first}


def _is_foreign_kind(detail: ErrorDetails) -> bool:
    return detail["type"] == "literal_error" and detail["loc"][-1] == "type"


def _reason(detail: ErrorDetails, key: str) -> str:
    if key == "input.messages" or (key == "input" and detail["type"] != "missing"):
        return INPUT  # P3
    kind, given, last = detail["type"], detail["input"], detail["loc"][-1] if detail["loc"] else ""
    if _is_foreign_kind(detail):
        return _foreign_reason(key, given)
    if kind == "missing":
        if last in ("messages", "input", "preferred_output", "non_preferred_output"):
            return f"missing key {last!r}"
        return "Discriminator 'role' is missing in value" if last == "role" else "Field required"
    if last == "role" and isinstance(given, str):
        return f'Invalid role "{given}"'
    if last == "weight":
        return "weight must be 0 or 1"
    if last == "messages" and kind in ("too_short", "list_type"):
        return "Expected a non-empty list"
    if last == "parameters":
        return "parameters must be a JSON Schema object"
    if key.endswith("function.arguments"):
        return "Input should be a valid string: JSON-encode the arguments object"
    if last in ("audio", "function_call"):
        return f"{last} is not supported"
    # "valid dictionary or instance of Message": the classes are ours, not the user's.
    return "Input should be an object" if kind in ("model_type", "dict_type") else detail["msg"]


def _foreign_reason(key: str, given: object) -> str:
    if "content[" in key:
        return f"{given} parts are not supported: the models served here read only text"
    if key.startswith("tools["):
        return f"{given} tools are not supported"
    return f"{given} tool calls are not supported"


def _place(location: Location) -> tuple[int | None, str]:
    """Message number and key apart; of a preference row, the messages of its input."""
    parts = [part for part in location if part not in BRANCHES]
    message = None
    if parts[:2] == ["input", "messages"] and len(parts) > 2:
        parts = parts[1:]
    if len(parts) >= 2 and parts[0] == "messages" and isinstance(parts[1], int):
        message, parts = parts[1] + 1, parts[2:]
    return message, "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
