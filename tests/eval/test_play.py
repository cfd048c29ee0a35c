"""eval.play as a user starts it, against a real endpoint that plays the rows' own assistant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.row import JsonObject
from data.task_api.scenarios import synthesize
from tests.eval.rows import write_rows
from tests.eval.scripted_server import MODEL, Script, scripted_server

COFFEE = Path(__file__).parents[2] / "data" / "samples" / "taskmaster_coffee" / "test.jsonl"


def play(rows: Path, script: Script, *words: str | Path) -> subprocess.CompletedProcess[str]:
    with scripted_server(script) as url:
        command = [sys.executable, "-m", "eval.play", rows, "--base-url", url, "--model", MODEL, *words]
        return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


def read(path: Path) -> JsonObject:
    written: JsonObject = json.loads(path.read_text())
    return written


@pytest.fixture(scope="module")
def tasks() -> list[JsonObject]:
    return synthesize(1, 60, 3).test


def test_the_rows_own_assistant_ends_right_whatever_fault_it_meets(tmp_path: Path, tasks: list[JsonObject]) -> None:
    rows, out = write_rows(tmp_path / "rows.jsonl", *tasks), tmp_path / "play.json"
    played = play(rows, Script(tasks), "--fault-rate", "1", "--out", out)
    assert played.returncode == 0, played.stderr
    scores = read(out)["scores"]
    with_calls = sum(any(message.get("tool_calls") for message in row["messages"]) for row in tasks)
    assert (scores["end_state"]["k"], scores["end_state"]["n"]) == (60, 60)
    assert (scores["recovered"]["k"], scores["recovered"]["n"]) == (with_calls, with_calls)
    assert set(scores["recoveries"]) == {"timeout", "server_error", "rate_limit", "bad_arguments"}
    assert "end state right" in played.stdout and "100.0 %" in played.stdout
    again = play(rows, Script(tasks), "--fault-rate", "1", "--out", tmp_path / "again.json")
    assert again.returncode == 0 and read(tmp_path / "again.json")["results"] == read(out)["results"]


def test_an_assistant_that_claims_to_be_done_after_a_fault_is_wrong(tmp_path: Path, tasks: list[JsonObject]) -> None:
    rows, out = write_rows(tmp_path / "rows.jsonl", *tasks), tmp_path / "play.json"
    played = play(rows, Script(tasks, recovers=False), "--fault-rate", "0.5", "--out", out)
    assert played.returncode == 0, played.stderr
    scores = read(out)["scores"]
    assert scores["recovered"]["k"] == 0 < scores["recovered"]["n"]
    assert scores["without_fault"]["rate"] == 1.0
    assert {name for counts in scores["recoveries"].values() for name in counts} == {"wrong"}
    assert scores["causes"]["claimed_done"] > 0


def test_coffee_orders_are_played_to_the_state_that_their_workers_left(tmp_path: Path) -> None:
    orders = [json.loads(line) for line in COFFEE.open()][:30]
    # Another dialog may open with the same words.
    orders = list({row["messages"][1]["content"]: row for row in orders}.values())
    rows, out = write_rows(tmp_path / "rows.jsonl", *orders), tmp_path / "play.json"
    played = play(rows, Script(orders), "--environment", "coffee_bar", "--max-turns", "20", "--out", out)
    assert played.returncode == 0, played.stderr
    assert read(out)["scores"]["end_state"]["k"] == len(orders)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fault-rate", "2"], "--fault-rate 2: Input should be less than or equal to 1"),
        (["--environment", "coffee"], "--environment coffee: Input should be"),
        (["--environment", "coffee_bar", "--model", "other"], "unknown model 'other'"),
        (["--base-url", "http://127.0.0.1:1/v1"], "cannot be reached"),
    ],
)
def test_a_users_fault_is_one_line(tmp_path: Path, tasks: list[JsonObject], words: list[str], message: str) -> None:
    failed = play(write_rows(tmp_path / "rows.jsonl", tasks[0]), Script(tasks), *words, "--out", tmp_path / "play.json")
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and message in failed.stderr
    assert not (tmp_path / "play.json").exists()


def test_rows_that_do_not_fit_the_environment_are_told(tmp_path: Path, tasks: list[JsonObject]) -> None:
    order = json.loads(COFFEE.open().readline())
    failed = play(write_rows(tmp_path / "rows.jsonl", order), Script(tasks), "--out", tmp_path / "play.json")
    assert failed.returncode == 2 and "rows.jsonl:1: environment 'task_service':" in failed.stderr
