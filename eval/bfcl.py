"""Reads single-turn categories of the Berkeley Function Calling Leaderboard (BFCL v4, Apache-2.0) into items.

The data are those of the installed package bfcl-eval; none of its code runs. `docs/bfcl.md` has what is compared in
another way than there. Layout: a question and its functions a line, and beside it, under `possible_answer/`, for each
argument a list of allowed values, in which "" says that it may be left out.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data.row import JsonObject
from data.user_error import UserError
from eval.allowed_values import first_value
from eval.bfcl_schema import read_tool, tool_name
from eval.expected import Allowed, ExpectedCall
from eval.item import Item, Kind

CATEGORIES = (
    "simple_python", "simple_java", "simple_javascript", "multiple", "parallel", "parallel_multiple", "irrelevance",
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance", "live_relevance",
)  # fmt: skip


def bfcl_items(category: str, limit: int = 0) -> list[Item]:
    """The items of one category, from its head. Raises UserError without the category or the package."""
    rows, truths = read_category(category)
    kind: Kind = "no_call" if category.endswith("irrelevance") else "call" if truths else "any_call"
    return [_item(row, kind, truths.get(row["id"], [])) for row in rows[: limit or None]]


def read_category(category: str) -> tuple[list[JsonObject], dict[str, list[JsonObject]]]:
    """The rows as they are, and id -> calls with allowed values, empty where any call or none is expected."""
    if category not in CATEGORIES:
        fix = f"choose from {', '.join(CATEGORIES)}"
        raise UserError(f"no single-turn category of BFCL: {category!r}", where=f"bfcl:{category}", fix=fix)
    path = _data_file(category)
    answers = path.parent / "possible_answer" / path.name
    truths = _read(answers) if answers.is_file() else []
    return _read(path), {row["id"]: row["ground_truth"] for row in truths}


def _data_file(category: str) -> Path:
    spec = find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        fix = "pip install --no-deps bfcl-eval==2026.3.23"
        raise UserError("the package bfcl-eval is not installed", where=f"bfcl:{category}", fix=fix)
    path = Path(spec.submodule_search_locations[0]) / "data" / f"BFCL_v4_{category}.json"
    if not path.is_file():
        raise UserError("not in this bfcl-eval", where=str(path), fix="install bfcl-eval==2026.3.23, whose data are v4")
    return path


def _read(path: Path) -> list[JsonObject]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _item(row: JsonObject, kind: Kind, truths: list[JsonObject]) -> Item:
    (messages,) = row["question"]  # one turn
    takes_code = row["id"].startswith(("simple_java_", "simple_javascript_"))
    tools = [read_tool(function, takes_code=takes_code) for function in row["function"]]
    return Item(
        id=f"bfcl:{row['id']}",
        kind=kind,
        request={"messages": messages, "tools": tools},
        expected_calls=[_expected_call(truth, row["function"]) for truth in truths],
        expected_text="",
        environment=None,
    )


def _expected_call(truth: JsonObject, functions: list[JsonObject]) -> ExpectedCall:
    ((name, choices),) = truth.items()
    (parameters,) = [function["parameters"] for function in functions if function["name"] == name]
    required = parameters.get("required", [])
    allowed = {
        key: _allowed(values, parameters["properties"].get(key, {}).get("type"), is_required=key in required)
        for key, values in choices.items()
    }
    arguments = {key: first_value(choice) for key, choice in allowed.items() if not choice.is_optional}
    return ExpectedCall(name=tool_name(name), arguments=arguments, allowed=allowed)


def _allowed(values: list[Any], kind: str | None, *, is_required: bool) -> Allowed:
    """`kind` is BFCL's own word for the type. "" in a list of answers cannot make a required argument optional."""
    if not values:
        return Allowed(values=[[]], is_optional=not is_required)  # live_simple_106 and 112: an empty list, or none
    present = [value for value in values if value != "" or kind == "string"]
    lists = [value for value in present if isinstance(value, list)]
    return Allowed(
        values=[value for value in present if not isinstance(value, dict | list)]
        + [value for value in lists if not _holds_objects(value)],
        objects=[_fields(value) for value in present if isinstance(value, dict)],
        lists=[[_place(inner) for inner in value] for value in lists if _holds_objects(value)],
        is_optional="" in values and not (is_required and present),
    )


def _holds_objects(value: list[Any]) -> bool:
    return any(isinstance(inner, dict) for inner in value)


def _fields(value: JsonObject) -> dict[str, Allowed]:
    """An object's fields are lists of choices; what lies deeper is a value as it stands."""
    return {key: _field(choices) for key, choices in value.items()}


def _field(choices: Any) -> Allowed:
    if not isinstance(choices, list):
        return Allowed(values=[choices])  # simple_java_64 gives the value itself
    return Allowed(values=choices, is_optional="" in choices)


def _place(value: Any) -> Allowed:
    return Allowed(objects=[_fields(value)]) if isinstance(value, dict) else Allowed(values=[value])
