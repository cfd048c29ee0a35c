"""All stages together, as `data.prepare` runs them: counts that add up, the same bytes twice, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.preparation.called_tools import called_names
from data.reading import file_sha256, read_rows
from data.row import JsonObject
from data.row_store import RowStore, fill_row_store, rows_key
from data.settings import DataSection
from data.template import load_template
from data.user_error import UserError
from tests.conftest import ROOT
from tests.data.preparation.evaluated import evaluate
from tests.data.preparation.made import WORDS, calling, settings
from tests.models import write_rows

ROWS = [calling(f"Ping {word}", "ping", listed=("stock",), x=word) for word in WORDS]
GENERAL = [calling(f"What is a {word}?", system="You are a helper.") for word in WORDS]
OTHERS = [calling(f"Sell {word}", "sell", "count", x=word) for word in WORDS]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rows = {"pings": [*ROWS, ROWS[0], *ROWS[:3]], "general": GENERAL, "sales": OTHERS}
    return {name: write_rows(tmp_path / f"{name}.jsonl", found) for name, found in rows.items()}


def everything(files: dict[str, Path]) -> DataSection:
    return settings(
        mixture=[
            {"files": [files["pings"]], "name": "pings", "licence": "CC0-1.0", "source": "made | by hand"},
            {"files": [files["sales"]], "weight": 1.5},
            {"files": [files["general"]], "share": 0.2, "name": "general"},
        ],
        dedupe="exact", split={"by": "row", "test": 4, "validation": 0.1}, balance={"by": "tool", "max_ratio": 1},
        augment={"shuffle_tools": 0.5, "rename_tools": 0.3, "distractor_tools": 0.2, "drop_called_tool": 0.1},
    )  # fmt: skip


def fill(folder: Path, section: DataSection, tokenizer: Any, max_length: int = 600) -> JsonObject:
    return fill_row_store(RowStore(folder), section, tokenizer, load_template("chatml"), max_length)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_stage_is_counted_and_every_row_accounted_for(
    files: dict[str, Path], tmp_path: Path, chatml: Any
) -> None:
    summary = fill(tmp_path / "rows", everything(files), chatml)
    store = RowStore(tmp_path / "rows")
    stages = {report["stage"]: report for report in summary["stages"]}
    assert list(stages) == ["dedupe", "split", "lengths", "balance", "mixture", "augment", "shares"]
    assert (stages["dedupe"]["rows_in"], stages["dedupe"]["dropped"]) == (52, {"duplicate": 4})
    assert (stages["split"]["rows_in"], stages["split"]["rows_out"]) == (48, 48 - 4 - 3)
    assert (summary["test"]["rows"], summary["validation"]["rows"]) == (4, 3)
    final = summary["train"]["rows"]
    assert final == stages["shares"]["rows_out"] == len(read_rows(store.train))
    general = stages["shares"]["notes"]["general"]
    assert (general["rows_out"], general["rows_in"]) == (round(0.2 * final), 16)
    listed = [json.loads(line)["cause"] for line in store.dropped.read_text().splitlines()]
    assert summary["train"]["dropped"] == {cause: listed.count(cause) for cause in dict.fromkeys(listed)}
    asked = [{row.row.messages[0].content for row in read_rows(path)} for path in (store.train, store.validation)]
    asked.append({row.row.messages[0].content for row in read_rows(store.test)})
    assert not (asked[0] & asked[1] or asked[0] & asked[2] or asked[1] & asked[2])


def test_the_same_recipe_and_files_give_the_same_bytes(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    for name in ("first", "second"):
        fill(tmp_path / name, everything(files), chatml)
    first = contents(tmp_path / "first")
    assert first == contents(tmp_path / "second")
    assert list(first) == [
        "data_card.md", "dropped.jsonl", "key.sha256", "summary.json", "test.jsonl", "train.jsonl", "validation.jsonl"
    ]  # fmt: skip
    fill(tmp_path / "third", everything(files).model_copy(update={"seed": 1}), chatml)
    assert first["test.jsonl"] != contents(tmp_path / "third")["test.jsonl"]


def test_the_card_names_sources_stages_and_settings(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    fill(tmp_path / "rows", everything(files), chatml)
    card = RowStore(tmp_path / "rows").card.read_text()
    sha256 = file_sha256(files["pings"])
    assert f"| {files['pings']} | {sha256} | pings | CC0-1.0 | made \\| by hand |" in card
    assert "| dedupe | 52 | 48 | 4 duplicate | {} |" in card
    assert '"seed": 0' in card and '"max_ratio": 1.0' in card and load_template("chatml").sha256 in card
    assert "Training rows that are an earlier one again, repetitions by weight not counted: 0." in card
    assert "| You are a helper. |" in card and "| ping |" in card


def test_near_copies_of_given_test_rows_are_not_trained_on(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    long = [
        calling(f"Please ping the old {word} server for me{end}", "ping", x="a")
        for word in WORDS[:2]
        for end in ("", "!")
    ]
    train, test = write_rows(tmp_path / "a.jsonl", [*ROWS, *long[1::2]]), write_rows(tmp_path / "b.jsonl", long[::2])
    summary = fill(tmp_path / "rows", settings(train=[train], test=[test], dedupe="near"), chatml)
    assert (summary["train"]["rows"], summary["train"]["dropped"]) == (16, {"near_held_out": 2})


def test_copies_are_counted_where_they_are_left_in(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    fill(tmp_path / "rows", settings(train=[files["pings"]], test=[files["sales"]]), chatml)
    card = RowStore(tmp_path / "rows").card.read_text()
    assert "Training rows that are an earlier one again, repetitions by weight not counted: 4." in card


def test_the_key_is_of_all_settings_and_all_files(files: dict[str, Path], tmp_path: Path) -> None:
    template, section = load_template("chatml"), everything(files)
    keys = [rows_key(section, template, 600), rows_key(section, template, 600)]
    changes: list[JsonObject] = [{"seed": 1}, {"dedupe": "near"}, {"balance": None}, {"split": None}]
    keys += [rows_key(section.model_copy(update=change), template, 600) for change in changes]
    for path in files.values():
        path.write_text(path.read_text() + "\n")
        keys.append(rows_key(section, template, 600))
    evaluation = tmp_path / "eval.json"
    for text in ("{}", "{ }"):
        evaluation.write_text(text)
        keys.append(rows_key(settings(hard={"eval": evaluation}), template, 600))
    assert len(keys) == 11
    assert len(set(keys)) == 10


def test_validation_rows_of_an_earlier_recipe_do_not_stay(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    store = RowStore(tmp_path / "rows")
    fill(store.folder, everything(files), chatml)
    assert store.validation.is_file()
    fill(store.folder, settings(train=[files["sales"]], split={"test": 3}), chatml)
    assert not store.validation.exists()


def test_a_failed_preparation_writes_nothing(files: dict[str, Path], tmp_path: Path, chatml: Any) -> None:
    with pytest.raises(UserError, match="no test rows can be held out by tool"):
        fill(tmp_path / "rows", settings(train=[files["pings"]], split={"by": "tool"}), chatml)
    assert not (tmp_path / "rows").exists()


def test_after_all_stages_no_held_out_tool_of_real_rows_is_listed_in_training(
    shared_data: Path, tmp_path: Path, chatml: Any
) -> None:
    sources = [shared_data / name / "train.jsonl" for name in ("home_assistant", "seal_tools")]
    section = settings(
        train=[write_head(source, tmp_path / f"{source.parent.name}.jsonl", 90) for source in sources],
        split={"by": "tool", "test": 0.15, "validation": 0.1},
        augment={"rename_tools": 0.3, "distractor_tools": 0.5, "drop_called_tool": 0.2},
    )
    fill(tmp_path / "rows", section, chatml, 4096)
    store = RowStore(tmp_path / "rows")
    called = {
        name for path in (store.test, store.validation) for row in read_rows(path) for name in called_names(row.row)
    }
    assert len(called) > 10
    assert not called & {
        name for row in read_rows(store.train) for name in row.row.tool_names() | set(called_names(row.row))
    }


def write_head(source: Path, target: Path, num_rows: int) -> Path:
    target.write_text("".join(source.read_text().splitlines(keepends=True)[:num_rows]))
    return target


def test_hard_rows_come_from_training_files_and_never_from_the_test_side(
    files: dict[str, Path], tmp_path: Path, chatml: Any
) -> None:
    store, split = RowStore(tmp_path / "run" / "rows"), {"test": 6}
    fill(store.folder, settings(train=[files["sales"]], split=split), chatml)
    own_test = store.test.read_text()
    evaluation = evaluate(store.test, tmp_path / "eval.json", "o")
    section = settings(train=[files["sales"]], split=split, hard={"eval": evaluation})
    with pytest.raises(UserError, match=r"it was made on held-out rows \(test\.jsonl\), and only rows"):
        fill(store.folder, section, chatml)
    evaluate(files["sales"], evaluation, "aeo")
    summary = fill(store.folder, section, chatml)
    assert store.test.read_text() == own_test
    held_out = {row.row.messages[0].content for row in read_rows(store.test)}
    hard = {f"Sell {word}" for word in WORDS if word[-1] in "aeo"}
    assert {row.row.messages[0].content for row in read_rows(store.train)} == hard - held_out
    assert summary["train"]["dropped"] == {"hard": 10 - len(hard - held_out)}
    own = evaluation.rename(tmp_path / "run" / "eval.json")
    with pytest.raises(UserError, match="it lies in the folder of this run, which writes its own evaluation there"):
        fill(store.folder, settings(train=[files["sales"]], split=split, hard={"eval": own}), chatml)


def run(recipe: Path, tokenizer: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data.prepare", str(recipe), *overrides, "--tokenizer", str(tokenizer)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_the_program_tells_each_stage_and_refuses_in_one_line(
    files: dict[str, Path], tmp_path: Path, smollm2: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    data = f"{{train: [{files['pings']}], dedupe: exact, split: {{test: 4}}}}"
    recipe.write_text(f"name: try\nruns: {tmp_path}\ntemplate: chatml\ndata: {data}\n")
    done = run(recipe, smollm2)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line][:3] == [
        "  dedupe: 20 -> 16", "  split: 16 -> 12; by row, groups 16, wanted {'test': 4, 'validation': 0}",
        "  lengths: 12 -> 12",
    ]  # fmt: skip
    before = contents(tmp_path / "try" / "rows")
    gone = run(recipe, smollm2, "data.train=[gone.jsonl]")
    assert (gone.returncode, gone.stderr) == (
        2, "error: gone.jsonl: cannot be read: No such file or directory (fix: check the recipe's paths)\n"
    )  # fmt: skip
    share = run(recipe, smollm2, "data.split.test=1.5")
    reason = "Input should be a share below 1 or a whole number of rows (got 1.5)"
    assert (share.returncode, share.stderr) == (2, f"error: {recipe}: key 'data.split.test': {reason}\n")
    assert contents(tmp_path / "try" / "rows") == before
