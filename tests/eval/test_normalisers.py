"""What is made alike, and what is left as it is."""

import pytest

from eval.normalisers import normalised
from eval.settings import Normaliser


@pytest.mark.parametrize(
    ("name", "first", "second", "alike"),
    [
        ("case", "Buy Milk", "buy MILK", True),
        ("case", "STRASSE", "straße", True),
        ("case", "Milk", "Milk ", False),
        ("whitespace", " Buy \n milk", "Buy milk", True),
        ("whitespace", "Buymilk", "Buy milk", False),
        ("punctuation", "Dr. Lee's, 5", "Dr Lees 5", True),
        ("unicode", "e\u0301 ﬁn", "\u00e9 fin", True),
        ("number", "3", 3, True),
        ("number", "3.0", 3, True),
        ("number", "true", True, False),
        ("number", "3 kg", 3, False),
        ("date", "2026-03-14", "14 March 2026", True),
        ("date", "Sat, Mar 14, 2026", "20260314", True),
        ("date", "2026-03-14", "03/14/2026", True),
        ("date", "2026-03-04", "03/04/2026", False),  # March or April: not guessed
        ("date", "2026-03-14", "March 2026", False),
        ("date", "2026-03-14", "Saturday", False),
        ("date", "2026-03-14", "2026-03-14T00:00:00", False),
        ("date", "2026-03-14T15:00", "14 March 2026, 3 pm", True),
        ("date", "2026-03-14T15:00:00+01:00", "2026-03-14T14:00:00Z", True),
        ("date", "not a date", "not a  date", False),
        ("unordered", ["b", "a", "a"], ["a", "b", "a"], True),
        ("unordered", [1, 2.0], [2, 1.0], True),
        ("unordered", ["a", "a", "b"], ["a", "b", "b"], False),
        ("unordered", {"tags": [{"x": 1}, {"x": 0}]}, {"tags": [{"x": 0}, {"x": 1}]}, True),
        ("bfcl", "April 1, 2024", "april 1 2024", True),
        ("bfcl", "-5", "5", True),
    ],
)
def test_two_values_are_alike_or_not(name: Normaliser, first: object, second: object, alike: bool) -> None:
    assert (normalised(first, [name]) == normalised(second, [name])) is alike


def test_texts_inside_objects_and_lists_are_made_alike_too() -> None:
    given = {"to": ["ANN", {"cc": "Bob  B"}], "n": 3, "none": None}
    assert normalised(given, ["case", "whitespace"]) == {"to": ["ann", {"cc": "bob b"}], "n": 3, "none": None}


def test_phone_numbers_are_compared_as_e164() -> None:
    pytest.importorskip("phonenumbers", reason="an optional package of suites that compare phone numbers")
    assert normalised("+49 (30) 901820", ["phone"]) == "+4930901820" == normalised("030 901820", ["phone"], "DE")
    assert normalised("030 901820", ["phone"]) == "030 901820"  # whose? not guessed
    assert normalised("call me", ["phone"], "DE") == "call me"
