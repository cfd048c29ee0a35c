"""How much of each source is taken, by weight, number of rows or share of the final rows."""

from data.preparation.mixture import add_shares, mix
from data.preparation.settings import Source
from tests.data.preparation.made import calling, entries, lines, told

ROWS = [calling(f"{word}", "ping", x=word) for word in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]]
POOL = entries(*ROWS, source="one") + entries(*ROWS[:4], source="two")


def source(name: str, **amount: object) -> Source:
    return Source.model_validate({"files": [f"{name}.jsonl"], "name": name, **amount})


def test_a_weight_takes_whole_repetitions_and_a_random_part_beside() -> None:
    result = mix(POOL, [source("one", weight=0.5), source("two", weight=2.5)], seed=0)
    ones = lines([entry for entry in result.kept if entry.source == "one"])
    twos = lines([entry for entry in result.kept if entry.source == "two"])
    assert len(ones) == len(set(ones)) == 5
    assert twos[:8] == [1, 2, 3, 4] * 2 and len(set(twos[8:])) == 2
    assert result.notes == {
        "one": {"rows_in": 10, "wanted": 5, "rows_out": 5}, "two": {"rows_in": 4, "wanted": 10, "rows_out": 10}
    }  # fmt: skip
    assert told(result.dropped) == [
        f"f.jsonl:{line} mixture: not drawn from source one" for line in range(1, 11) if line not in ones
    ]


def test_without_an_amount_each_row_is_taken_once_and_no_source_is_forgotten() -> None:
    made = entries(ROWS[9], source="data.synthesize")
    result = mix(POOL + made, [source("one"), source("two", weight=1)], seed=0)
    assert result.kept == POOL + made
    assert result.dropped == []


def test_a_number_of_rows_never_repeats_one() -> None:
    result = mix(POOL, [source("one", rows=3), source("two", rows=7)], seed=0)
    assert len(lines(result.kept)) == 3 + 4
    assert result.notes["two"] == {"rows_in": 4, "wanted": 7, "rows_out": 4}


def test_a_share_is_one_of_all_final_rows() -> None:
    base = entries(*ROWS, source="one") * 8
    general = entries(*ROWS * 3, source="general")
    result = add_shares(base, general, [source("general", share=0.2)], seed=0)
    assert len(result.kept) == 100
    assert lines(result.kept[80:]) == sorted(set(lines(result.kept[80:])))
    assert len(result.dropped) == 10


def test_two_shares_are_both_of_the_whole_and_a_short_one_is_told() -> None:
    base = entries(*ROWS, source="one") * 7
    pool = entries(*ROWS * 2, source="x") + entries(*ROWS[:4], source="y")
    result = add_shares(base, pool, [source("x", share=0.2), source("y", share=0.1)], seed=0)
    assert result.notes == {
        "x": {"rows_in": 20, "wanted": 20, "rows_out": 20}, "y": {"rows_in": 4, "wanted": 10, "rows_out": 4}
    }  # fmt: skip
