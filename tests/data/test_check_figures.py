"""What data.check tells of training and held-out rows apart: shapes, personas, duplicates, the tokens of a run."""

import json
import sys
from pathlib import Path

import pytest

import data.check
from data.checking.run_cost import RunCost
from data.row import JsonObject
from data.row_summary import shape_of, summarise
from data.rules.severities import RuleSeverities
from data.settings import num_epochs
from data.user_error import UserError
from tests.data.rows import GOOD, good_file, ping, raw, result, row, says, user
from tests.data.test_check import advice, check, figures

OTHER = raw(user("Ping c"), says(None, ping('{"host": "c"}')))
GENERAL = raw(user("Name a river."), says("The Danube."), tools=[])
ERROR = '{"error": {"code": "not_found"}}'


def system(text: str) -> JsonObject:
    return {"role": "system", "content": text}


@pytest.mark.parametrize(
    ("turns", "shape"),
    [
        ([says(None, ping()), result(ERROR), says(None, ping())], "recovery"),
        ([says(None, ping()), result("Error: no such host"), says(None, ping())], "recovery"),
        ([says(None, ping()), result("<MatchFailedError x=1>"), says(None, ping())], "recovery"),
        ([says(None, ping()), result('{"success": false}'), says("Sorry."), says(None, ping())], "recovery"),
        ([says(None, ping(), weight=0), result("no"), says("Sorry.")], "single"),
        ([says(None, ping()), result(ERROR), says("Sorry."), user("Again"), says(None, ping())], "single"),
        ([says(None, ping()), result(ERROR), says(None, ping(), weight=0)], "multi_step"),
        ([says(None, ping()), result('{"error": null, "errors": []}'), says(None, ping())], "multi_step"),
        ([says(None, ping()), result('{"errors": 0, "success": tru'), says(None, ping())], "multi_step"),
        ([says(None, ping()), result("No errors."), says(None, ping())], "multi_step"),
        ([says("Hm.", weight=0), user("So?"), says("Yes.")], "no_call"),
    ],
)
def test_a_recovery_is_a_call_after_one_that_failed(turns: list[JsonObject], shape: str) -> None:
    assert shape_of(row(user("Ping a"), *turns)) == shape


def test_rows_without_tools_are_general_unless_they_call() -> None:
    assert shape_of(row(user("Hi"), says("Hello."), tools=[])) == "general"
    assert shape_of(row(user("Hi"), says(None, ping()), tools=[])) == "single"


def test_personas_are_the_first_system_lines_of_other_rows_than_general_ones(tmp_path: Path) -> None:
    rows = [
        raw(system("You are Al.\nToday is Monday."), user("Ping a"), says(None, ping())),
        raw({"role": "developer", "content": "You are Al."}, user("Ping b"), says("Which one?")),
        raw(system("You are Bo."), user("Ping c"), says("No.")),
        raw(system("You write verse."), user("Name a river."), says("The Danube."), tools=[]),
        GOOD,
    ]
    told = figures(check(good_file(tmp_path / "rows.jsonl", *rows)).stdout)
    assert (told["personas"], told["rows, general"]) == ("3 (of 4 system prompts)", "1 (20.0%)")


def test_copies_are_counted_unless_nobody_looks(tmp_path: Path) -> None:
    asked = [raw(user(f"Please ping the host called a{end}"), says(None, ping()), result("ok")) for end in (".", "!")]
    path = good_file(tmp_path / "rows.jsonl", GOOD, GOOD, *asked, OTHER)
    told = figures(check(path).stdout)
    assert (told["duplicates"], told["near-duplicates"], told["rows good"]) == ("1", "1", "5")
    off = figures(check(path, "--rule", "near_duplicate=off").stdout)
    assert "near-duplicates" not in off and off["duplicates"] == "1"
    assert summarise([], [], RuleSeverities(duplicate="off")).duplicates is None


def test_training_and_held_out_rows_have_a_column_each(tmp_path: Path) -> None:
    train, test = good_file(tmp_path / "a.jsonl", GOOD, OTHER), good_file(tmp_path / "b.jsonl", GENERAL)
    out = tmp_path / "check.json"
    checked = check(train, "--test", test, "--json", out)
    cells = [[cell.strip() for cell in line.split("│")] for line in checked.stdout.splitlines()]
    assert ["", "rows, single", "2 (100.0%)", "0 (0.0%)", ""] in cells
    assert ["", "rows, general", "0 (0.0%)", "1 (100.0%)", ""] in cells
    assert any(line.startswith("few_held_out: 1 held-out row: ") for line in advice(checked.stdout))
    assert checked.returncode == 0 and checked.stdout.endswith("3 of 3 rows are good\n")
    report = json.loads(out.read_text())
    assert (report["rows"]["good"], report["held_out"]["rows"]["good"], report["run"]) == (2, 1, None)
    assert report["held_out"]["tools"] == []


def test_held_out_rows_alone_get_figures_but_no_advice(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    checked = check("--test", good_file(tmp_path / "a.jsonl"), "--json", out)
    assert figures(checked.stdout)["rows, single"] == "1 (100.0%)" and advice(checked.stdout) == []
    report = json.loads(out.read_text())
    assert (report["rows"], report["tools"], report["held_out"]["rows"]["good"]) == (None, None, 1)


def test_preference_rows_alone_get_no_advice(tmp_path: Path) -> None:
    row = {"input": raw(user("Ping a")), "preferred_output": [says(None, ping())], "non_preferred_output": [says("No")]}
    checked = check(good_file(tmp_path / "rows.jsonl", row))
    assert (checked.returncode, advice(checked.stdout), figures(checked.stdout)["rows, preference"]) == (0, [], "1")


def test_the_tokens_of_a_run_follow_from_its_epochs_and_its_time_from_a_given_speed(
    tmp_path: Path, smollm2: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: a\ntemplate: chatml\ndata: {{train: [{path}]}}\nsft: {{num_train_epochs: 2}}\n")
    told = []
    for words in ([path], ["--recipe", recipe], [path, "--epochs", "0.5", "--tokens-per-second", "10"]):
        monkeypatch.setattr(sys, "argv", ["check", *map(str, words), "--tokenizer", str(smollm2)])
        assert data.check.main() == 0
        told.append(figures(capsys.readouterr().out))
    assert (told[0]["tokens of 3 epochs"], told[0]["trained tokens of 3 epochs"]) == ("618", "96")
    assert (told[1]["tokens of 2 epochs"], told[1]["trained tokens of 2 epochs"]) == ("412", "64")
    assert (told[2]["tokens of 0.5 epochs"], told[2]["GPU-hours at 10 tokens/s"]) == ("103", "0.00")
    assert not any(name.startswith("GPU") for name in told[0])


def test_gpu_hours_are_tokens_by_speed() -> None:
    assert RunCost.of(2, 9_000_000, 1_000_000, 2500.0) == RunCost(2, 18_000_000, 2_000_000, 2500.0, 2.0)


@pytest.mark.parametrize("given", [0, -1, True, "three", None])
def test_epochs_of_a_recipe_are_a_number(given: object) -> None:
    with pytest.raises(UserError, match="is no number of epochs"):
        num_epochs({"num_train_epochs": given})
    assert (num_epochs({}), num_epochs({"num_train_epochs": 2})) == (3.0, 2.0)


@pytest.mark.parametrize("folder", ["home_assistant", "seal_tools", "taskmaster_coffee"])
def test_real_sets_are_good_and_get_advice(folder: str, shared_data: Path) -> None:
    files = shared_data / folder
    checked = check(files / "train.jsonl", "--test", files / "test.jsonl")
    assert (checked.returncode, checked.stderr) == (0, "")
    names = [line.split(":")[0] for line in advice(checked.stdout)]
    assert "little_general" in names and len(names) == len(set(names))
