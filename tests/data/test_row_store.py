"""A run's rows: what is dropped is counted and listed, what is wrong stops the run, and nothing is half-written."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.reading import read_rows
from data.row import JsonObject
from data.row_store import RowStore, fill_row_store
from data.settings import DataSection, Synthesize
from data.template import load_template
from data.user_error import UserError
from tests.data.rows import good_file, ping, raw, result, says, user

TRAIN = [raw(user(f"Ping {host}"), says(None, ping({"host": host})), result("up"), says("Up.")) for host in "abc"]
LONG = raw(user("long " * 300), says("Yes."))
TEST = raw(user("Ping z"), says(None, ping('{"host":"z"}')), parallel_tool_calls=False)


@pytest.fixture
def store(tmp_path: Path) -> RowStore:
    return RowStore(tmp_path / "run" / "rows")


def section(folder: Path, train: list[JsonObject], test: list[JsonObject], **keys: Any) -> DataSection:
    paths = {"train": [good_file(folder / "a.jsonl", *train)], "test": [good_file(folder / "b.jsonl", *test)]}
    return DataSection.model_validate({**paths, **keys})


def refusal(store: RowStore, section: DataSection, tokenizer: Any, template: str = "chatml") -> str:
    with pytest.raises(UserError) as error:
        fill_row_store(store, section, tokenizer, load_template(template), max_length=300)
    assert not store.folder.exists()
    return str(error.value)


def test_the_rows_are_written_as_they_were_given(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    summary = fill_row_store(store, section(tmp_path, TRAIN, [TEST]), chatml, load_template("chatml"), 300)
    assert [json.loads(line) for line in store.train.read_text().splitlines()] == TRAIN
    assert [json.loads(line) for line in store.test.read_text().splitlines()] == [TEST]
    assert [row.row for row in read_rows(store.train)] == [row.row for row in read_rows(tmp_path / "a.jsonl")]
    assert (store.dropped.read_text(), json.loads(store.summary.read_text())) == ("", summary)
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "data_card.md", "dropped.jsonl", "key.sha256", "summary.json", "test.jsonl", "train.jsonl"
    ]  # fmt: skip


def test_a_row_too_long_is_dropped_whole_counted_and_listed(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    rows = section(tmp_path, [TRAIN[0], LONG, TRAIN[1]], [TEST])
    summary = fill_row_store(store, rows, chatml, load_template("chatml"), 300)
    assert [json.loads(line) for line in store.train.read_text().splitlines()] == TRAIN[:2]
    assert [json.loads(line) for line in store.dropped.read_text().splitlines()] == [
        {"where": f"{tmp_path}/a.jsonl:2", "cause": "too_long", "detail": "452 tokens, sft.max_length is 300"}
    ]
    # A call is 29 tokens and "Up." 3, end tokens included: the golden masks have them one by one.
    assert summary == {
        "train": {
            "rows": 2, "dropped": {"too_long": 1}, "tokens": 412, "trained_tokens": 64, "longest_tokens": 206,
        },
        "test": {"rows": 1, "dropped": {}, "tokens": 180, "trained_tokens": 29, "longest_tokens": 180},
    }  # fmt: skip


def test_a_row_too_long_can_stop_the_run(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    rows = section(tmp_path, [TRAIN[0], LONG], [TEST], too_long="fail")
    assert refusal(store, rows, chatml) == (
        f"{tmp_path}/a.jsonl:2: row too long: 452 tokens, sft.max_length is 300"
        " (fix: raise sft.max_length, or data.too_long=drop)"
    )


def test_rows_all_too_long_stop_the_run(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    assert refusal(store, section(tmp_path, [LONG, LONG], [TEST]), chatml) == (
        "all 2 train rows are longer than 300 tokens (fix: raise sft.max_length)"
    )


def test_a_held_out_row_that_is_trained_on_is_refused(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    twin = json.loads(json.dumps(TRAIN[1]).replace('"c1"', '"other_id"'))
    twin["messages"][1]["tool_calls"][0]["function"]["arguments"] = '{ "host" : "b" }'
    assert refusal(store, section(tmp_path, TRAIN, [TEST, twin]), chatml) == (
        f"{tmp_path}/b.jsonl:2: held-out row is also the training row {tmp_path}/a.jsonl:2"
        " (fix: take it out of one of the files)"
    )


def test_a_row_with_a_fault_stops_the_run(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    bad = raw(user("Hi"), says(None, ping(name="pong")))
    assert refusal(store, section(tmp_path, TRAIN, [TEST, bad]), chatml) == (
        f"{tmp_path}/b.jsonl:2: message 2, key \"tool_calls[0].function.name\": calls 'pong', which is not in tools"
        " (fix: list the tool)"
    )


def test_a_row_that_cannot_be_rendered_stops_the_run(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    rows = section(tmp_path, TRAIN, [TEST])
    with pytest.raises(UserError) as error:
        dropping = load_template("chatml")
        dropping = dropping._replace(source=dropping.source.replace("tool_list(tools) ~", "'' ~"))
        fill_row_store(store, rows, chatml, dropping, 300)
    assert str(error.value) == (
        f"{tmp_path}/a.jsonl:1: the chatml template loses the description of tool 'ping'"
        " (fix: use a template that renders it)"
    )
    assert not store.folder.exists()


def test_a_split_without_rows_is_refused(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    rows = DataSection(train=[good_file(tmp_path / "a.jsonl", *TRAIN)])
    assert refusal(store, rows, chatml) == (
        "data.test: no test rows (fix: name files under data.test, or synthesize, or give data.split)"
    )


def test_made_rows_join_those_of_the_files(store: RowStore, tmp_path: Path, chatml: Any) -> None:
    rows = section(tmp_path, TRAIN, [TEST], synthesize=Synthesize(train=6, test=4, seed=1))
    summary = fill_row_store(store, rows, chatml, load_template("chatml"), 4096)
    assert (summary["train"]["rows"], summary["test"]["rows"]) == (9, 5)


def kill_at_the_test_rows(store: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if target == store.test:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)


def test_filling_that_is_killed_leaves_no_training_rows_to_be_taken_for_all(
    store: RowStore, tmp_path: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at_the_test_rows(store, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fill_row_store(store, section(tmp_path, TRAIN, [TEST]), chatml, load_template("chatml"), 300)
    assert not store.train.exists()


def test_filling_anew_that_is_killed_leaves_no_rows_of_the_recipe_before(
    store: RowStore, tmp_path: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_row_store(store, section(tmp_path, TRAIN, [TEST]), chatml, load_template("chatml"), 300)
    kill_at_the_test_rows(store, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fill_row_store(store, section(tmp_path, TRAIN[:1], [TEST]), chatml, load_template("chatml"), 300)
    assert not store.train.exists()
