"""Held-out rows: how many, and that nothing of them is left to be trained on."""

import json
from itertools import product
from pathlib import Path

import pytest
from rapidfuzz import fuzz

from data.near_duplicates import ALIKE
from data.preparation.called_tools import called_identities, called_names, identities
from data.preparation.request_template import request_template
from data.preparation.settings import Split
from data.preparation.split import Sides, split_rows
from data.rules.sets import calls_text, row_text, words
from data.user_error import UserError
from tests.data.preparation.made import REAL, WORDS, calling, entries, lines, real_entries, told

PLAIN = [calling(f"{one} {two}", "ping", x=one) for one, two in zip(WORDS, WORDS[::-1], strict=True)]


def split(rows: list, by: str = "row", test: float = 0.1, validation: float = 0, seed: int = 0) -> Sides:
    return split_rows(rows, Split.model_validate({"by": by, "test": test, "validation": validation}), set(), seed)


def refusal(rows: list, by: str = "row", test: float = 0.1, validation: float = 0) -> str:
    with pytest.raises(UserError) as error:
        split(rows, by, test, validation)
    return str(error.value)


def test_shares_and_numbers_of_rows_are_met_and_every_row_is_on_one_side() -> None:
    sides = split(entries(*PLAIN), test=0.25, validation=3)
    assert [len(side) for side in (sides.train, sides.validation, sides.test)] == [9, 3, 4]
    assert sorted(lines(sides.train + sides.validation + sides.test)) == list(range(1, 17))
    assert lines(sides.train) == sorted(lines(sides.train))
    assert sides.notes == {"by": "row", "groups": 16, "wanted": {"test": 4, "validation": 3}}


def test_the_seed_decides_alone() -> None:
    sides = [lines(split(entries(*PLAIN), test=4, seed=seed).test) for seed in (0, 0, 1)]
    assert sides[0] == sides[1] != sides[2]


def test_copies_and_near_copies_stay_together() -> None:
    long = "please tell me in all detail what became of the parcel that I sent"
    alike = [calling(long + end, "ping", x="a") for end in (" today", " today!", " today.", " to-day")]
    for seed in range(20):
        sides = split(entries(*PLAIN, *alike), test=5, seed=seed)
        held_out = {line for line in lines(sides.test) if line > 16}
        assert held_out in (set(), {17, 18, 19, 20})
        assert len(sides.test) == 5


def test_a_template_is_a_request_without_its_values() -> None:
    texts = ["Ping alpha 3 times", "ping  Bravo Two 4 times", "Ping alphabet 3 times"]
    rows = [
        calling(text, "ping", x=x, n=n)
        for text, x, n in zip(texts, ["alpha", "bravo two", "alpha"], [3, 4, 3], strict=True)
    ]
    assert [request_template(entry.row) for entry in entries(*rows)] == [
        "ping <> <> times", "ping <> <> times", "ping alphabet <> times"
    ]  # fmt: skip


def test_by_template_no_wording_is_on_two_sides() -> None:
    forms = ["Ping {}", "Is {} up?", "Check on {} for me", "{}, is it alive?", "See whether {} answers"]
    rows = entries(*(calling(form.format(word), "ping", x=word) for form, word in product(forms, WORDS[:6])))
    sides = split(rows, "template", test=0.3)
    assert len(sides.test) == 6  # one form: two would be more than 9 rows
    assert not {request_template(entry.row) for entry in sides.train} & {request_template(e.row) for e in sides.test}


def test_by_tool_held_out_tools_are_neither_called_nor_listed_in_training() -> None:
    rows = [calling(f"{word} {number}", *tools, listed=("far", "near")) for number, (word, tools) in enumerate([
        ("alpha", ["a"]), ("bravo", ["a", "b"]), ("charlie", ["b"]), ("delta", ["c"]), ("echo", ["d"]), ("golf", ["e"]),
    ])]  # fmt: skip
    rows += [calling("hotel", "near", listed=("a", "b", "c", "d", "e")), calling("india", listed=("a", "c", "d", "e"))]
    sides = split(entries(*rows), "tool", test=3)
    held_out = {name for entry in sides.test for name in called_names(entry.row)}
    assert held_out and not held_out & {name for entry in sides.train for name in entry.row.tool_names()}
    assert len(sides.train) + len(sides.test) + len(sides.dropped) == 8
    assert {1, 2, 3} <= set(lines(sides.test)) or not {1, 2, 3} & set(lines(sides.test))


def test_a_row_that_lists_held_out_tools_alone_goes_and_is_listed() -> None:
    rows = entries(
        calling("alpha", "a"), calling("bravo", "b"), calling("charlie", listed=("a",)), calling("x", listed=("b",))
    )
    for seed in range(9):
        sides = split(rows, "tool", test=1, seed=seed)
        [out] = lines(sides.test)
        assert told(sides.dropped) == [f"f.jsonl:{out + 2} held_out_tool: lists no other tools than held-out ones"]


def test_a_tool_under_another_name_is_the_same_tool() -> None:
    one, other = calling("alpha", "a"), calling("bravo", "b")
    twin = json.loads(json.dumps(other).replace("About b.", "About a."))
    one, other, twin = (entry.row for entry in entries(one, other, twin))
    assert not called_identities(one) & called_identities(other)
    assert len(called_identities(one) & called_identities(twin)) == 1


def test_what_cannot_be_held_out_is_told_in_one_line() -> None:
    rows = entries(*PLAIN)
    assert refusal(rows, "tool") == (
        "data.split.test: no test rows can be held out by tool: 16 of 16 rows are linked by the tools they call"
        " (fix: split by row, or name data.test files)"
    )
    assert refusal(rows, test=12, validation=4) == "data.split: 16 rows to be held out of 16 (fix: ask for fewer rows)"
    copies = entries(*[PLAIN[0]] * 5)
    assert refusal(copies, test=2) == (
        "data.split.test: no test rows can be held out by row: 5 of 5 rows are copies of each other"
        " (fix: name data.test files)"
    )


def test_rows_of_fixed_sources_stay_and_keep_their_copies_with_them() -> None:
    rows = entries(*PLAIN[:4]) + entries(PLAIN[0], PLAIN[5], source="general")
    for seed in range(9):
        sides = split_rows(rows, Split(test=2), {"general"}, seed)
        assert len(sides.test) == 2
        assert {entry.source for entry in sides.test} == {"data.train"}
        assert rows[0] not in sides.test


@pytest.mark.parametrize("by", ["row", "template", "tool"])
@pytest.mark.parametrize("name", REAL)
def test_no_real_row_leaks(name: str, by: str, shared_data: Path) -> None:
    rows = real_entries(shared_data, name)
    if name == "taskmaster_coffee" and by == "tool":
        assert "linked by the tools they call" in refusal(rows, by)
        return
    sides = split(rows, by, test=0.15, validation=0.1)
    assert 0.5 <= len(sides.test) / (0.15 * len(rows)) <= 1.05
    held_out = sides.validation + sides.test
    for mine, theirs in ((sides.train, held_out), (sides.validation, sides.test)):
        assert not {row_text(entry.row) for entry in mine} & {row_text(entry.row) for entry in theirs}
        for one, other in product(mine, theirs):
            if calls_text(one.row) == calls_text(other.row):
                assert fuzz.ratio(words(one.row), words(other.row)) < 100 * ALIKE
        if by == "template":
            assert not {request_template(e.row) for e in mine} & {request_template(e.row) for e in theirs}
    if by == "tool":
        called = set().union(*(called_identities(entry.row) for entry in held_out))
        listed = {identity for e in sides.train for tool in e.row.tools or [] for identity in identities(tool)}
        assert not called & (listed | set().union(*(called_identities(entry.row) for entry in sides.train)))
