"""Rows that an evaluation got wrong: an eval.json as eval.run writes it, of real scores, and what is refused."""

from pathlib import Path

import pytest

from data.preparation.entries import Entry, entry_of
from data.preparation.hard_rows import read_hard_keys, take_hard
from data.preparation.settings import Hard
from data.reading import read_rows
from data.user_error import UserError
from tests.data.preparation.evaluated import evaluate
from tests.data.preparation.made import calling, lines
from tests.models import write_rows

ROWS = [calling(f"Ping {word}", "ping", x=word) for word in "abcdef"]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", ROWS)


def loaded(path: Path) -> list[Entry]:
    return [entry_of("data.train", row) for row in read_rows(path)]


def refusal(path: Path, train: list[Entry], *held_out: Path) -> str:
    with pytest.raises(UserError) as error:
        read_hard_keys(path, train, list(held_out))
    return str(error.value)


def test_a_row_is_hard_when_an_item_of_it_is_wrong_and_not_when_one_was_not_run(train: Path, tmp_path: Path) -> None:
    keys = read_hard_keys(evaluate(train, tmp_path / "eval.json", "bd"), loaded(train), [])
    assert keys == {(train, 2), (train, 4)}


def test_hard_rows_are_selected_or_weighted(train: Path) -> None:
    rows, keys = loaded(train), {(train, 2), (train, 4)}
    alone = take_hard(rows, keys, Hard(eval=train), seed=0)
    assert (lines(alone.kept), len(alone.dropped)) == ([2, 4], 4)
    assert alone.notes == {"hard_rows": 2, "taken": 2, "others": 0}
    weighted = take_hard(rows, keys, Hard(eval=train, weight=2.5, rest=0.5), seed=0)
    assert lines(weighted.kept)[:4] == [2, 4, 2, 4]
    assert lines(weighted.kept)[4] in (2, 4)
    assert len(lines(weighted.kept)) == 7
    assert len(weighted.dropped) == 2


def test_an_evaluation_of_held_out_rows_is_refused(train: Path, tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.jsonl", ROWS[:3])
    path = evaluate(test, tmp_path / "eval.json", "b")
    reason = "and only rows of training files may be chosen (fix: run eval.run on the training files)"
    assert refusal(path, loaded(train), test) == f"{path}: it was made on held-out rows (test.jsonl), {reason}"
    kind = "a file that is no training file of this recipe (test.jsonl)"
    assert refusal(path, loaded(train)) == f"{path}: it was made on {kind}, {reason}"
    both = evaluate(train, tmp_path / "both.json", "b")
    assert refusal(both, loaded(train), train) == f"{both}: it was made on held-out rows (train.jsonl), {reason}"


def test_an_evaluation_of_earlier_rows_is_refused(train: Path, tmp_path: Path) -> None:
    path = evaluate(train, tmp_path / "eval.json", "b")
    fix = "(fix: run eval.run on the training files again)"
    write_rows(train, ROWS[1:])
    assert refusal(path, loaded(train)) == f"{path}: {train}:1#2 is not what the file now has there {fix}"
    write_rows(train, ROWS[:5])
    assert refusal(path, loaded(train)) == f"{path}: {train}:6#2 is not what the file now has there {fix}"


def test_an_evaluation_without_a_fault_has_no_hard_rows(train: Path, tmp_path: Path) -> None:
    path = evaluate(train, tmp_path / "eval.json", "")
    assert refusal(path, loaded(train)) == f"{path}: it got no training row wrong (fix: leave data.hard out)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "not an eval.json: key 'candidate': Field required"),
        (
            '{"candidate": {"results": [{"id": "x", "expected_calls": [], "expected_text": "", '
            '"score": {"verdict": "wrong"}}]}}',
            "item 'x' names no row as FILE:LINE#MESSAGE",
        ),
    ],
)
def test_what_is_no_eval_json_is_told(text: str, expected: str, train: Path, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    path.write_text(text)
    assert refusal(path, loaded(train)) == f"{path}: {expected} (fix: give what eval.run wrote)"
    gone = tmp_path / "gone.json"
    assert refusal(gone, []) == f"{gone}: cannot be read: No such file or directory (fix: check the path)"
