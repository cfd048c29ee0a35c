"""Settings of data preparation: each fault is one line that names the key."""

from pathlib import Path

import pytest

from data.preparation.settings import count_of
from data.settings import DataRecipe, DataSection, load_settings
from data.user_error import UserError

MIXED = "data.mixture=[{files: [a.jsonl]}, {files: [g.jsonl], share: %s}]"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: try\ntemplate: chatml\ndata: {train: [a.jsonl], test: [b.jsonl]}\n")
    return path


def load(path: Path, *overrides: str) -> DataSection:
    return load_settings(path, list(overrides), DataRecipe).data


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.split.test=1.5"], "key 'data.split.test': Input should be a share below 1 or a whole number of rows"),
        (["data.split.test=-1"], "key 'data.split.test': Input should be a share below 1 or a whole number of rows"),
        (["data.split.test=true"], "key 'data.split.test': Input should be a share below 1 or a whole number of rows"),
        (["data.split.by=user"], "key 'data.split.by': Input should be 'row', 'tool' or 'template' (got \"user\")"),
        (["data.split.bye=row"], "unknown key 'data.split.bye' (fix: did you mean 'by'?)"),
        (["data.split.test=0"], "test and validation are both 0: give one of them, or leave split out"),
        (
            ["data.split.by=row"],
            "data.split.test and data.test both give the test rows: take one out, or set data.split.test=0",
        ),
        (
            ["data.split.by=row", "data.test=[]", "data.synthesize={train: 2}"],
            "data.split.test and data.synthesize both give the test rows: take one out, or set data.split.test=0",
        ),
        ([MIXED % 0.1], "data.train and data.mixture both give training rows: move the former into the latter"),
        (["data.train=[]", MIXED % 1.5], "key 'data.mixture.1.share': Input should be less than 1 (got 1.5)"),
        (
            ["data.train=[]", "data.mixture=[{files: [a], share: 0.5}]"],
            "every source of data.mixture has a share: give the main one a weight",
        ),
        (
            ["data.train=[]", "data.mixture=[{files: [x]}, {files: [a], share: 0.5}, {files: [b], share: 0.5}]"],
            "the shares of data.mixture sum to 1: keep below 1",
        ),
        (["data.train=[]", "data.mixture=[{files: [a, a]}]"], "data.mixture has the file a twice: give it once"),
        (
            ["data.train=[]", "data.mixture=[{files: [a], name: x}, {files: [b], name: x}]"],
            "data.mixture has the name x twice: give it once",
        ),
        (
            ["data.train=[]", "data.mixture=[{files: [a], rows: 3, weight: 2}]"],
            "key 'data.mixture.0': weight and rows both say how much is taken: give one of them",
        ),
        (
            ["data.train=[]", "data.mixture=[{files: [a], wieght: 2}]"],
            "unknown key 'data.mixture.0.wieght' (fix: did you mean 'weight'?)",
        ),
        (
            ["data.train=[]", "data.mixture=[{files: []}]"],
            "key 'data.mixture.0.files': List should have at",
        ),
        (["data.dedupe=all"], "key 'data.dedupe': Input should be 'exact', 'near' or 'off' (got \"all\")"),
        (["data.augment.rename_tools=1.5"], "key 'data.augment.rename_tools': Input should be less than or equal to 1"),
        (["data.augment.rename_tool=1"], "unknown key 'data.augment.rename_tool' (fix: did you mean 'rename_tools'?)"),
        (["data.balance.by=tool"], "key 'data.balance.max_ratio': Field required"),
        (["data.hard.weight=2"], "key 'data.hard.eval': Field required"),
    ],
)
def test_a_wrong_setting_is_one_line(path: Path, overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError) as error:
        load(path, *overrides)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_off_is_the_word_and_not_yamls_false(path: Path) -> None:
    assert load(path, "data.dedupe=off").dedupe == "off"


def test_validation_rows_may_be_split_off_beside_test_files(path: Path) -> None:
    split = load(path, "data.split={test: 0, validation: 5}").split
    assert split and (split.by, split.test, split.validation) == ("row", 0, 5)


def test_all_files_are_those_of_every_setting(path: Path) -> None:
    assert load(path, "data.hard.eval=e.json").files == [Path("a.jsonl"), Path("b.jsonl"), Path("e.json")]
    mixed = load(path, "data.train=[]", MIXED % 0.1)
    assert mixed.files == [Path("b.jsonl"), Path("a.jsonl"), Path("g.jsonl")]


def test_a_size_is_a_share_or_a_number_of_rows() -> None:
    assert [count_of(size, 25) for size in (0, 0.0, 3, 0.1, 0.001, 0.5)] == [0, 0, 3, 3, 1, 13]
