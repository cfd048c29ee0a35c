"""Renamed arguments: the same values in the same places, and no text that speaks of an old name."""

import random
from pathlib import Path
from typing import Any

import pytest

from data.conversation import calls_of
from data.preparation.argument_names import rename_arguments
from data.preparation.augment import augment
from data.preparation.lengths import Ruler
from data.preparation.settings import Augment
from data.preparation.tool_lists import OtherTools
from data.row import Row
from data.rules.rows import row_faults
from data.rules.severities import DEFAULTS
from data.template import load_template
from tests.data.preparation.made import REAL, call, entries, real_entries, tool
from tests.data.rows import raw, says, user


def filled_in(row: Row) -> list[list[tuple[str, Any]]]:
    """For each call its arguments by their place in the schema, whatever their names, and their values."""
    places = {}
    for listed in row.tools or []:
        properties = (listed.function.parameters or {}).get("properties", {})
        places[listed.function.name] = {name: place for place, name in enumerate(properties)}
    return [
        [(str(places.get(call.name, {}).get(name)), value) for name, value in call.arguments.items()]
        for message in row.messages
        for call in calls_of(message)
    ]


@pytest.mark.parametrize("name", REAL)
def test_real_rows_with_renamed_arguments_fill_in_the_same_values(name: str, shared_data: Path, chatml: Any) -> None:
    rows, ruler = real_entries(shared_data, name, 40), Ruler(chatml, load_template("chatml"), 4096)
    result = augment(rows, OtherTools(rows), Augment(rename_arguments=0.5), DEFAULTS, ruler, seed=0)
    counts = result.notes["rename_arguments"]
    assert counts["rows"] == 20 or counts["rows"] + counts["impossible"] + counts["refused"] == 40
    assert counts["refused"] == 0
    for old, new in zip(rows, result.kept, strict=True):
        assert filled_in(old.row) == filled_in(new.row)
        assert [m.content for m in old.row.messages] == [m.content for m in new.row.messages]
        assert [t.function.name for t in old.row.tools or []] == [t.function.name for t in new.row.tools or []]
        assert not [fault for fault in row_faults(new.row) if DEFAULTS.of(fault.rule) == "error"]


def test_arguments_are_renamed_in_schema_and_calls_and_plain_words_stay() -> None:
    properties = {"due_date": {"type": "string", "description": "A day"}, "city": {"type": "string"}}
    book = tool("book", "Books.", **properties)
    book["function"]["parameters"]["required"] = ["due_date"]
    asked = entries(
        raw(user("Book in this city"), says(None, call("book", due_date="May", city="Rome")), tools=[book])
    )[0].row
    seen = set()
    for seed in range(20):
        if renamed := rename_arguments(asked, random.Random(seed)):
            [listed] = renamed.tools or []
            [made] = calls_of(renamed.messages[1])
            assert listed.function.parameters and list(listed.function.parameters["properties"]) == list(made.arguments)
            assert listed.function.parameters["required"] == list(made.arguments)[:1]
            assert list(made.arguments.values()) == ["May", "Rome"]
            seen.add(tuple(name[:5] for name in made.arguments))
    assert seen == {("dueDa", "city"), ("arg1_", "city")}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Set due_date to May", set()),
        ('The "city" is Rome', {("dueDate", "city")}),
        ('{"city": "Rome"}', {("dueDate", "city")}),
    ],
)
def test_an_argument_that_a_text_names_keeps_its_name(text: str, names: set[tuple[str, ...]]) -> None:
    x = {"type": "string", "description": "A text"}
    asked = entries(raw(user(text), says("No."), tools=[tool("book", "Books.", due_date=x, city=x)]))[0].row
    renamed = [rename_arguments(asked, random.Random(seed)) for seed in range(12)]
    functions = [tool.function for row in renamed if row for tool in row.tools or []]
    assert {tuple(function.parameters["properties"]) for function in functions if function.parameters} == names
