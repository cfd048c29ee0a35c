"""De-duplication: which rows count as the same, and which of them stays."""

import json
from itertools import product
from pathlib import Path
from random import Random

import pytest
from rapidfuzz import fuzz

from data.near_duplicates import ALIKE, Pair
from data.preparation import likeness
from data.preparation.dedupe import count_duplicates, drop_duplicates, drop_near_held_out
from data.preparation.entries import EntryRows
from data.preparation.groups import Groups
from data.preparation.likeness import near_pairs
from data.rules.sets import Marked, duplicates, words
from tests.data.preparation.made import REAL, calling, entries, lines, real_entries, told

NUM_TEXTS = 30
ASKED = calling("Turn the lamp in the hall on, please, it is dark in there", "lamp", x="hall")
SPELT = json.loads(json.dumps(ASKED).replace('"c1"', '"other"'))
SPELT["messages"][1]["tool_calls"][0]["function"]["arguments"] = '{ "x":"hall"}'
WORDED = calling("Turn the lamp in the hall on, please, it is dark in here", "lamp", x="hall")
OTHER_CALL = calling("Turn the lamp in the hall on, please, it is dark in there", "lamp", x="attic")
OTHER = calling("Where is the cat?", "find", x="cat")


def test_exact_takes_ids_and_spelling_of_arguments_for_nothing() -> None:
    assert SPELT != ASKED
    kept, dropped, _ = drop_duplicates(entries(ASKED, OTHER, SPELT, WORDED, OTHER_CALL), "exact").result
    assert lines(kept) == [1, 2, 4, 5]
    assert told(dropped) == ["f.jsonl:3 duplicate: the same row as f.jsonl:1"]


def test_near_also_takes_the_same_calls_in_nearly_the_same_words() -> None:
    kept, dropped, _ = drop_duplicates(entries(ASKED, OTHER, SPELT, WORDED, OTHER_CALL), "near").result
    assert lines(kept) == [1, 2, 5]
    assert told(dropped) == [
        "f.jsonl:3 duplicate: the same row as f.jsonl:1",
        "f.jsonl:4 near_duplicate: the same calls in nearly the same words as f.jsonl:1 (99% alike)",
    ]


def test_a_training_row_that_is_nearly_a_held_out_one_goes() -> None:
    kept, dropped, _ = drop_near_held_out(entries(OTHER, WORDED, OTHER_CALL, SPELT), entries(ASKED))
    assert lines(kept) == [1, 3]
    assert told(dropped) == [
        "f.jsonl:2 near_held_out: the same calls in nearly the same words as f.jsonl:1 (99% alike)",
        "f.jsonl:4 near_held_out: the same calls in nearly the same words as f.jsonl:1 (100% alike)",
    ]


def test_what_stands_for_a_row_left_out_is_a_row_that_stays() -> None:
    respelt = json.loads(json.dumps(WORDED).replace('"c1"', '"other"'))
    result, first_of = drop_duplicates(entries(ASKED, WORDED, respelt), "near")
    assert lines(result.kept) == [1]
    assert {later[1]: first[1] for later, first in first_of.items()} == {2: 1, 3: 1}


def test_a_row_like_one_left_out_alone_stays() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    first, second = text, text.replace("three", "zzzzz")
    third = second.replace("seven", "qqqqq")
    rows = entries(*(calling(text, "count", x="a") for text in (first, second, third)))
    pairs = [(pair.first, pair.later) for pair in near_pairs(rows)]
    assert pairs == [(0, 1), (1, 2)]
    assert lines(drop_duplicates(rows, "near").result.kept) == [1, 3]


@pytest.mark.parametrize(("limit", "letters", "block"), [(10, 1000, 2), (10, 1000, 3), (4, 1000, 500), (10, 100, 500)])
def test_the_way_of_comparing_does_not_change_what_is_found(
    limit: int, letters: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness, "MAX_COMPARED", limit)
    monkeypatch.setattr(likeness, "MAX_LETTERS", letters)
    monkeypatch.setattr(likeness, "BLOCK", block)
    texts = ["Turn the lamp in the hall on, please, it is dark in there", "Where has the cat gone to, at this hour?"]
    rows = entries(*(calling(text + end, listed=("lamp",)) for end in ("", "!", ".") for text in texts))
    assert [tuple(pair)[:2] for pair in near_pairs(rows)] == [(0, 2), (1, 3), (0, 4), (1, 5)]


def test_the_pairs_that_are_left_out_change_no_copy_and_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    random, num_fewer = Random(1), 0
    for _ in range(60):
        monkeypatch.setattr(likeness, "BLOCK", random.choice([2, 3, 7, 500]))
        starts = ["".join(random.choices("abcdef ", k=random.randint(12, 40))) for _ in range(3)]
        rows = entries(*(calling(changed(random.choice(starts), random)) for _ in range(NUM_TEXTS)))
        texts = [words(entry.row) for entry in rows]
        every = (
            Pair(first, later, fuzz.ratio(texts[first], texts[later]) / 100)
            for later, first in product(range(NUM_TEXTS), repeat=2)
            if first < later
        )
        alike, found = [pair for pair in every if pair.alike >= ALIKE], list(near_pairs(rows))
        assert copies(found) == copies(alike) and tied(found) == tied(alike)
        num_fewer += len(found) < len(alike)
    assert num_fewer > 20


def changed(text: str, random: Random) -> str:
    letters = list(text)
    for _ in range(random.randint(0, 3)):
        letters[random.randrange(len(letters))] = random.choice("abcdef ")
    return "".join(letters)


def copies(pairs: list[Pair]) -> dict[int, int]:
    first_of: dict[int, int] = {}
    for pair in pairs:
        if pair.later not in first_of and pair.first not in first_of:
            first_of[pair.later] = pair.first
    return first_of


def tied(pairs: list[Pair]) -> list[list[int]]:
    groups = Groups(NUM_TEXTS)
    for pair in pairs:
        groups.join(pair.first, pair.later)
    return groups.members()


def test_duplicates_are_counted_without_those_that_a_weight_repeats() -> None:
    rows = entries(ASKED, OTHER, SPELT)
    assert count_duplicates(rows) == 1
    assert count_duplicates(rows + rows) == 1


@pytest.mark.parametrize("name", REAL)
def test_nothing_that_the_rules_call_a_duplicate_stays(name: str, shared_data: Path) -> None:
    rows = real_entries(shared_data, name)
    again = rows[::7]
    result = drop_duplicates(rows + again, "near").result
    assert list(duplicates(Marked(EntryRows(result.kept), is_sketched=True))) == []
    assert len(result.dropped) >= len(again)
    assert len(result.kept) + len(result.dropped) == len(rows + again)
