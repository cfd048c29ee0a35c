"""Caps on over-represented tools and personas."""

from data.preparation.balance import cap
from data.preparation.settings import Balance
from data.row_summary import persona
from tests.data.preparation.made import calling, entries, lines, told

COMMON = [calling(f"common {number}", "common") for number in range(20)]
RARE = [calling(f"rare {number}", "rare") for number in range(4)]
OTHER = [calling(f"other {number}", "other") for number in range(6)]


def test_no_tool_has_more_than_the_ratio_times_the_median_ones_rows() -> None:
    result = cap(entries(*COMMON, *RARE, *OTHER), Balance(by="tool", max_ratio=1.5), seed=0)
    assert len(result.dropped) == 11
    assert [line for line in lines(result.kept) if line > 20] == list(range(21, 31))
    assert {item.cause + ": " + item.detail for item in result.dropped} == {"balance: tool 'common' has over 9 rows"}
    assert result.notes == {"by": "tool", "cap": 9, "rows_of_the_largest": 9}


def test_a_row_that_also_calls_a_rare_tool_stays() -> None:
    both = [calling(f"both {number}", "common", "rare") for number in range(4)]
    result = cap(entries(*COMMON, *both, *OTHER), Balance(by="tool", max_ratio=1), seed=0)
    assert set(range(21, 25)) <= set(lines(result.kept))
    assert result.notes["rows_of_the_largest"] == 6


def test_rows_that_call_nothing_have_no_tool_to_be_capped_by() -> None:
    talk = [calling(f"talk {number}", listed=("common",)) for number in range(9)]
    result = cap(entries(*talk, *RARE), Balance(by="tool", max_ratio=1), seed=0)
    assert told(result.dropped) == []
    assert cap(entries(*talk), Balance(by="tool", max_ratio=1), seed=0).notes == {"cap": None}


def test_a_persona_is_the_first_line_of_the_system_text() -> None:
    rows = [calling(f"t{number}", "a", system=f"You are Ann.\nIt is day {number}.") for number in range(8)]
    rows += [calling(f"b{number}", "a", system="You are Ben.") for number in range(2)] + [calling("c", "a")]
    assert [persona(entry.row) for entry in entries(*rows)] == ["You are Ann."] * 8 + ["You are Ben."] * 2 + [""]
    result = cap(entries(*rows), Balance(by="persona", max_ratio=1), seed=0)
    assert (len(result.dropped), lines(result.kept)[-3:]) == (3, [9, 10, 11])
