"""Severities: what a recipe and the command line may change, what stays, and that everyone who reads rows obeys."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.reading import read_row_file, read_rows
from data.row_store import RowStore, fill_row_store
from data.rules.severities import DEFAULTS, RuleSeverities, with_options
from data.settings import DataRecipe, DataSection, load_settings
from data.template import load_template
from data.user_error import UserError
from tests.data.rows import GOOD, good_file, ping, raw, says, user
from tests.data.test_check import below_figures, check

UNKNOWN = raw(user("Ping b"), says(None, ping(name="pong")))
OTHER = raw(user("Ping c"), says(None, ping('{"host": "c"}')))
FIXED = "stays an error: without it a row could not be rendered, learned and read back"


def recipe(folder: Path, rules: str, train: Path | None = None, test: Path | None = None) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(f"name: try\ntemplate: chatml\ndata: {{train: [{train}], test: [{test}], rules: {{{rules}}}}}\n")
    return path


def test_a_recipe_names_only_what_differs(tmp_path: Path) -> None:
    path = recipe(tmp_path, "unknown_tool: warning, leak: off, duplicate: error")  # YAML 1.1: off is false
    rules = load_settings(path, [], DataRecipe).data.rules
    assert rules.model_dump(exclude_defaults=True) == {"unknown_tool": "warning", "leak": "off", "duplicate": "error"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("unknown_tol: off", "unknown key 'data.rules.unknown_tol' (fix: did you mean 'unknown_tool'?)"),
        ("leak: maybe", "key 'data.rules.leak': Input should be 'error', 'warning' or 'off' (got \"maybe\")"),
        ("control_token: off", f"key 'data.rules.control_token': {FIXED} (got false)"),
        ("arguments: warning", f"key 'data.rules.arguments': {FIXED} (got \"warning\")"),
    ],
)
def test_a_wrong_rule_or_severity_is_told(tmp_path: Path, rules: str, expected: str) -> None:
    path = recipe(tmp_path, rules)
    with pytest.raises(UserError) as error:
        load_settings(path, [], DataRecipe)
    assert str(error.value) == f"{path}: {expected}"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("unknown_tol=off", "--rule: no rule 'unknown_tol' (fix: did you mean 'unknown_tool'?)"),
        ("leak", "--rule leak: Input should be 'error', 'warning' or 'off'"
         " (fix: write NAME=error, NAME=warning or NAME=off)"),
        ("render=off", f"--rule render: render {FIXED} (fix: leave it out)"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told(option: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        with_options(DEFAULTS, [option])
    assert str(error.value) == expected


def test_the_command_line_wins_over_the_recipe() -> None:
    given = RuleSeverities(leak="off", name="off")
    assert with_options(given, ["leak=warning"]) == RuleSeverities(leak="warning", name="off")


def test_check_obeys_its_options(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD, UNKNOWN)
    reason = "calls 'pong', which is not in tools (fix: list the tool)"
    warned, off = check(path, "--rule", "unknown_tool=warning"), check(path, "--rule", "unknown_tool=off")
    assert (warned.returncode, below_figures(warned.stdout)) == (
        0,
        [
            "warning unknown_tool: 1",
            f'{path}:2: message 2, key "tool_calls[0].function.name": {reason}',
            "2 of 2 rows are good",
        ],
    )
    assert (off.returncode, below_figures(off.stdout)) == (0, ["2 of 2 rows are good"])
    refused = check(path, "--rule", "json=off")
    assert (refused.returncode, refused.stderr) == (
        2,
        f"error: --rule: no rule 'json' (fix: known rules: {', '.join(RuleSeverities.model_fields)})\n",
    )


def test_check_takes_files_and_severities_of_a_recipe(tmp_path: Path) -> None:
    train = good_file(tmp_path / "a.jsonl", GOOD, UNKNOWN)
    test = good_file(tmp_path / "b.jsonl", OTHER, GOOD)
    path = recipe(tmp_path, "unknown_tool: off", train, test)
    checked = check("--recipe", path)
    assert (checked.returncode, below_figures(checked.stdout)) == (
        2,
        [
            "error leak: 1",
            f"{test}:2: held-out row is also the training row {train}:1 (fix: take it out of one of the files)",
            "3 of 4 rows are good",
        ],
    )
    assert check("--recipe", path, "--rule", "leak=off").returncode == 0
    nothing = check()
    assert (nothing.returncode, nothing.stderr) == (
        2,
        "error: command line: no file to check (fix: name FILE.jsonl, or a recipe with data.train)\n",
    )


def test_prepared_rows_keep_the_severities_they_were_checked_under(tmp_path: Path, chatml: Any) -> None:
    paths = {
        "train": [good_file(tmp_path / "a.jsonl", GOOD, UNKNOWN)],
        "test": [good_file(tmp_path / "b.jsonl", OTHER)],
    }
    store, template = RowStore(tmp_path / "rows"), load_template("chatml")
    with pytest.raises(UserError, match="calls 'pong', which is not in tools"):
        fill_row_store(store, DataSection.model_validate(paths), chatml, template, 300)
    lenient = DataSection.model_validate({**paths, "rules": {"unknown_tool": "off"}})
    fill_row_store(store, lenient, chatml, template, 300)
    assert json.loads(store.rules.read_text()) == {"unknown_tool": "off"}
    assert [numbered.line for numbered in read_rows(store.train)] == [1, 2]
    strict = DataSection.model_validate({"train": paths["test"], "test": [good_file(tmp_path / "c.jsonl", GOOD)]})
    fill_row_store(store, strict, chatml, template, 300)
    assert not store.rules.exists()


def test_a_warning_made_an_error_stops_the_preparation(tmp_path: Path, chatml: Any) -> None:
    paths = {"train": [good_file(tmp_path / "a.jsonl", GOOD, GOOD)], "test": [good_file(tmp_path / "b.jsonl", OTHER)]}
    section = DataSection.model_validate({**paths, "rules": {"duplicate": "error"}})
    with pytest.raises(UserError) as error:
        fill_row_store(RowStore(tmp_path / "rows"), section, chatml, load_template("chatml"), 300)
    assert str(error.value) == f"{tmp_path}/a.jsonl:2: the same row as {tmp_path}/a.jsonl:1 (fix: keep one)"


def test_keys_that_are_not_refused_are_left_out_of_the_row(tmp_path: Path) -> None:
    row = raw(user("Hi") | {"id": 7}, says(None, ping() | {"index": 0}), split="train", tool_choice="auto")
    path = good_file(tmp_path / "rows.jsonl", row)
    file = read_row_file(path, RuleSeverities(extra_key="warning"))
    assert [(finding.fault.message, finding.fault.key, finding.severity) for finding in file.findings] == [
        (1, "id", "warning"),
        (2, "tool_calls[0].index", "warning"),
        (None, "split", "warning"),
        (None, "tool_choice", "warning"),
    ]
    assert file.rows[0].row.model_dump(exclude_unset=True) == raw(user("Hi"), says(None, ping()))
    assert not read_row_file(path).rows


def test_broken_severities_beside_rows_are_a_users_fault(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl")
    (tmp_path / "rules.json").write_text('{"leek": "off"}')
    with pytest.raises(UserError, match=r"rules\.json: cannot be read: 1 validation error .*run data.prepare again"):
        read_rows(path)
