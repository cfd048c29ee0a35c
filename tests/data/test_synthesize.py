"""Every tool result replays, every trained call is valid, and nothing a test row asks is asked in training."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from data.preparation.request_template import request_template
from data.row import Row
from data.task_api.scenarios import KINDS, Rows, kind_of, request_text, synthesize
from data.task_api.scene import Level
from data.task_api.service import TASK_TOOLS, TaskService
from data.task_api.wording import HELD_OUT_TITLES, TRAIN_TITLES

SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TASK_TOOLS}


@pytest.fixture(scope="module")
def rows() -> Rows:
    return synthesize(400, 240, seed=7)


@pytest.fixture(scope="module")
def every_row(rows: Rows) -> list[dict[str, Any]]:
    return rows.train + rows.test


def run(*options: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data.synthesize", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})


def calls_of(message: dict[str, Any]) -> list[tuple[str, Any]]:
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return [(function["name"], json.loads(function["arguments"])) for function in functions]


def test_every_row_keeps_the_row_contract(every_row: list[dict[str, Any]]) -> None:
    assert [Row.model_validate(row).model_dump(exclude_unset=True) for row in every_row] == every_row


def test_kinds_come_in_their_shares(rows: Rows) -> None:
    assert Counter(map(kind_of, rows.train)) == {"single": 140, "recovery": 80, "multi_step": 100, "no_call": 80}
    assert Counter(map(kind_of, rows.test)) == {"single": 84, "recovery": 48, "multi_step": 60, "no_call": 48}


def test_replaying_the_calls_of_a_row_gives_its_results_to_the_byte(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        service = TaskService.from_system_text(row["messages"][0]["content"])
        replayed = [json.dumps(service.call(*call)) for message in row["messages"] for call in calls_of(message)]
        assert replayed == [message["content"] for message in row["messages"] if message["role"] == "tool"]


def test_results_follow_their_calls_in_order(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        asked = [call["id"] for message in row["messages"] for call in message.get("tool_calls", ())]
        assert asked == [message["tool_call_id"] for message in row["messages"] if message["role"] == "tool"]
        assert asked == [f"call_{number + 1}" for number in range(len(asked))]


def test_exactly_the_failed_calls_have_weight_0(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        service = TaskService.from_system_text(row["messages"][0]["content"])
        for message in row["messages"]:
            failed = ["error" in service.call(*call) for call in calls_of(message)]
            assert failed == [message.get("weight") == 0] * len(failed)


def test_a_recovery_is_one_failure_and_one_retry_of_the_same_tool(every_row: list[dict[str, Any]]) -> None:
    for row in filter(lambda row: kind_of(row) == "recovery", every_row):
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["system", "user", "assistant", "tool", "assistant", "tool", "assistant"]
        (failed, wrong), (retried, right) = (calls_of(message)[0] for message in row["messages"][2:5:2])
        assert failed == retried
        assert wrong != right


def test_trained_calls_satisfy_the_schemas(every_row: list[dict[str, Any]]) -> None:
    for message in (message for row in every_row for message in row["messages"] if message.get("weight") != 0):
        for name, arguments in calls_of(message):
            Draft202012Validator(SCHEMAS[name], format_checker=FormatChecker()).validate(arguments)


def test_every_trained_call_that_can_change_the_state_does(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        service = TaskService.from_system_text(row["messages"][0]["content"])
        for message in (message for message in row["messages"] if message.get("weight") != 0):
            for name, arguments in calls_of(message):
                before = service.state()
                service.call(name, arguments)
                assert (service.state() == before) == (name == "list_tasks")


def test_titles_stand_word_for_word_in_what_the_user_says(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        said = " ".join(message["content"] for message in row["messages"] if message["role"] == "user")
        titles = [arguments["title"] for m in row["messages"] for _, arguments in calls_of(m) if "title" in arguments]
        assert [title for title in titles if title not in said] == []


def test_no_test_request_and_no_test_title_is_in_training(rows: Rows) -> None:
    assert set(map(request_text, rows.train)) & set(map(request_text, rows.test)) == set()
    assert {title.casefold() for title in TRAIN_TITLES} & {title.casefold() for title in HELD_OUT_TITLES} == set()
    assert len({title.casefold() for title in TRAIN_TITLES + HELD_OUT_TITLES}) >= 300
    for split, foreign in ((rows.train, HELD_OUT_TITLES), (rows.test, TRAIN_TITLES)):
        text = json.dumps(split).casefold()
        assert [
            title for title in foreign if f'{title.casefold()}\\"' in text or f"| {title.casefold()} |" in text
        ] == []


def test_no_row_comes_twice(every_row: list[dict[str, Any]]) -> None:
    assert len({json.dumps(row["messages"]) for row in every_row}) == len(every_row)


def test_asking_for_more_rows_leaves_the_earlier_ones_as_they_were(rows: Rows) -> None:
    fewer = synthesize(50, 30, seed=7)
    assert fewer == (rows.train[:50], rows.test[:30], [])
    assert synthesize(50, 30, seed=8) != fewer


def test_the_splits_stay_apart_for_many_seeds() -> None:
    for seed in range(5):
        synthesize(400, 400, seed)  # asserts by itself


def test_basic_rows_keep_requests_and_titles_apart_and_have_every_kind() -> None:
    for seed in range(3):
        rows = synthesize(320, 200, seed, "basic")
        assert set(map(request_text, rows.train)) & set(map(request_text, rows.test)) == set()
        assert {kind_of(row) for row in rows.train} == {kind_of(row) for row in rows.test} == set(KINDS)
        text = json.dumps(rows.test).casefold()
        assert [title for title in TRAIN_TITLES if f'{title.casefold()}\\"' in text] == []


def test_the_program_writes_the_same_bytes_in_every_process(tmp_path: Path, rows: Rows) -> None:
    for hash_seed in ("1", "2"):
        result = run("--out", str(tmp_path / hash_seed), "--train", "40", "--test", "20", hash_seed=hash_seed)
        assert (result.returncode, result.stderr) == (0, "")
    files = [[path.read_bytes() for path in sorted((tmp_path / seed).iterdir())] for seed in ("1", "2")]
    assert files[0] == files[1]
    written = [[json.loads(line) for line in content.splitlines()] for content in files[0]]
    assert written == [rows.test[:20], rows.train[:40]]


def test_the_program_sums_up_what_it_wrote(tmp_path: Path) -> None:
    lines = run("--out", str(tmp_path), "--train", "20", "--test", "20").stdout.splitlines()
    assert lines[:2] == [f"{tmp_path}/train.jsonl: 20 rows", "  kinds: single 7, recovery 4, multi_step 5, no_call 4"]


def test_the_program_refuses_an_empty_split_in_one_line(tmp_path: Path) -> None:
    result = run("--out", str(tmp_path), "--test", "0")
    assert result.returncode == 2
    assert result.stderr == "error: --test: 0 rows asked for (fix: give a number of rows from 1 up)\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", ["basic", "full"])
def test_reworded_rows_ask_as_no_training_row_does(level: Level) -> None:
    made = synthesize(520, 120, 7, level, 120)
    assert len(made.reworded) == 120
    trained, tested, reworded = (
        {request_template(Row.model_validate(row)) for row in rows} for rows in (made.train, made.test, made.reworded)
    )
    assert reworded.isdisjoint(trained)
    assert not tested.isdisjoint(trained), "a phrase would not be found again"
