"""data.distill as a user starts it: files, exit status, budget, and what a kill leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import data.distill
from data.distillation.answer_journal import open_journal
from data.reading import read_rows
from data.user_error import UserError
from tests.data.rows import raw, user
from tests.data.scripted_teacher import USAGE, ScriptedTeacher, scripted_teacher
from tests.models import write_rows

COST = sum(USAGE.values())


@pytest.fixture(scope="module")
def teacher() -> Iterator[ScriptedTeacher]:
    with scripted_teacher() as server:
        yield server


def requests_file(folder: Path, number: int) -> Path:
    return write_rows(folder / "requests.jsonl", [raw(user(f"Ping host-{index}")) for index in range(number)])


def command(url: str, requests: Path, out: Path, *words: str, model: str = "right") -> list[str]:
    program = [sys.executable, "-m", "data.distill", str(requests), "--out", str(out), "--base-url", url]
    return [*program, "--model", model, "--max-retries", "0", *words]


def run(*args: object, **options: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    return subprocess.run(
        command(*args, **options), capture_output=True, text=True, timeout=300, env=environment  # type: ignore[arg-type]
    )  # fmt: skip


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_rows_come_in_the_order_of_the_requests_and_the_rest_by_cause(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    requests, out = requests_file(tmp_path, 12), tmp_path / "rows.jsonl"
    done = run(teacher.base_url, requests, out, model="two_of_three")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    rows = [numbered.row for numbered in read_rows(out)]
    assert [row.messages[0].content for row in rows] == [f"Ping host-{index}" for index in range(12)]
    assert "12 rows of 12 requests (agree 12)" in done.stdout
    assert "no row, disagrees: 12; the first:" in done.stdout and "no row, spare: 12\n" in done.stdout
    assert f"tokens, all runs: {72 * 300:,} in, {72 * 50:,} out" in done.stdout
    dropped = [json.loads(line) for line in lines(tmp_path / "rows.dropped.jsonl")]
    assert [(record["line"], record["sample"], record["cause"]) for record in dropped[:2]] == [
        (1, 0, "disagrees"), (1, 2, "spare"),
    ]  # fmt: skip
    assert dropped[0]["messages"][-1]["content"] == "host-0 answers."


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    requests, whole, killed = requests_file(tmp_path, 15), tmp_path / "whole", tmp_path / "killed"
    with scripted_teacher(delay_s=0.05) as teacher:
        assert run(teacher.base_url, requests, whole / "rows.jsonl", model="two_of_three").returncode == 0
        assert sum(teacher.asked.values()) == 90
        teacher.asked.clear()
        words = command(teacher.base_url, requests, killed / "rows.jsonl", model="two_of_three")
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal = killed / "rows.answers.jsonl"
        deadline = time.monotonic() + 30
        while not journal.exists() or len(lines(journal)) < 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (killed / "rows.jsonl").exists()
        with journal.open("a") as file:
            file.write('{"key": "half a li')
        answered = len(lines(journal)) - 1
        teacher.asked.clear()
        assert run(teacher.base_url, requests, killed / "rows.jsonl", model="two_of_three").returncode == 0
        assert sum(teacher.asked.values()) == 90 - answered
    for name in ("rows.jsonl", "rows.dropped.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(lines(journal)) == sorted(lines(whole / "rows.answers.jsonl"))


def test_a_budget_is_kept_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    requests, out = requests_file(tmp_path, 10), tmp_path / "rows.jsonl"
    with scripted_teacher() as teacher:
        short = run(teacher.base_url, requests, out, "--max-tokens-total", "10000", "--max-tokens", "100")
        num_asked = sum(teacher.asked.values())
        assert (short.returncode, num_asked * COST <= 10000) == (3, True)
        assert num_asked * COST > 10000 - 2500  # what one answer may cost at most
        assert "requests are not finished: the budget is spent" in short.stderr
        finished = len(read_rows(out))
        assert 0 < finished < 10 and f"{finished} rows of 10 requests" in short.stdout
        first_rows = lines(out)
        prices = ["--max-cost", "1", "--price-in", "10", "--price-out", "30"]
        long = run(teacher.base_url, requests, out, *prices, "--max-tokens", "100")
        assert (long.returncode, sum(teacher.asked.values())) == (0, 60)
    assert len(read_rows(out)) == 10 and set(first_rows) < set(lines(out))
    assert f"cost {60 * (300 * 10 + 50 * 30) / 1e6:.4f}" in long.stdout


def test_a_budget_in_money_is_kept(tmp_path: Path) -> None:
    requests, out = requests_file(tmp_path, 10), tmp_path / "rows.jsonl"
    with scripted_teacher() as teacher:
        words = ["--max-cost", "0.1", "--price-in", "10", "--price-out", "30", "--max-tokens", "100"]
        short = run(teacher.base_url, requests, out, *words)
        spent = sum(teacher.asked.values()) * (300 * 10 + 50 * 30) / 1e6
    assert short.returncode == 3 and 0 < spent <= 0.1


def test_answers_without_usage_count_as_the_most_they_can_be(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    done = run(
        teacher.base_url, requests_file(tmp_path, 5), tmp_path / "rows.jsonl", "--max-tokens-total", "9000",
        model="no_usage",
    )  # fmt: skip
    assert done.returncode == 3 and len(lines(tmp_path / "rows.answers.jsonl")) < 5


def test_an_endpoint_that_fails_ends_with_status_3_and_is_asked_again(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    requests, out = requests_file(tmp_path, 2), tmp_path / "rows.jsonl"
    failed = run(teacher.base_url, requests, out, model="first_500")
    assert (failed.returncode, out.exists()) == (3, False)
    assert "2 requests are not finished" in failed.stderr and "HTTP 500: busy" in failed.stderr
    for _ in range(2):  # one turn more answers in each run
        failed = run(teacher.base_url, requests, out, model="first_500")
    assert (failed.returncode, len(read_rows(out))) == (0, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "absent"], "unknown model 'absent'"),
        (["--base-url", "http://127.0.0.1:1/v1"], "cannot be reached"),
        (["--concurrency", "0"], "--concurrency 0: Input should be greater than 0"),
        (["--out", "/proc/absent/rows.jsonl"], "/proc/absent/rows.answers.jsonl: cannot be written"),
        (["--out", "rows.json"], "rows.json: rows are written as JSON lines"),
        (["--tools", "absent.json"], "absent.json: cannot be read"),
        (["--model", "broken_json"], "none of 1 requests gave a row"),
    ],
)
def test_a_users_fault_is_one_line(
    tmp_path: Path, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    started = command(teacher.base_url, requests_file(tmp_path, 1), tmp_path / "rows.jsonl", *words)
    monkeypatch.setattr(sys, "argv", started[2:])
    with pytest.raises(UserError) as error:
        data.distill.main()
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "rows.jsonl").exists()


def test_reasoning_that_rows_leave_out_is_counted(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    done = run(teacher.base_url, requests_file(tmp_path, 3), tmp_path / "rows.jsonl", model="reasons_apart")
    assert done.returncode == 0 and "left out of the rows, reasoning: 6 answers" in done.stdout


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    requests, out = requests_file(tmp_path, 10), tmp_path / "rows.jsonl"
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "bash", *command(teacher.base_url, requests, out)]
    full = subprocess.run(limited, capture_output=True, text=True, timeout=300)
    told = [line for line in full.stderr.splitlines() if not line.startswith("playing with")]
    assert (full.returncode, len(told)) == (2, 1), full.stderr
    assert "rows.answers.jsonl: cannot be written" in told[0]
    assert run(teacher.base_url, requests, out).returncode == 0 and len(read_rows(out)) == 10


def test_an_input_is_never_written_over(tmp_path: Path, teacher: ScriptedTeacher) -> None:
    requests = requests_file(tmp_path, 1)
    failed = run(teacher.base_url, requests, requests)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1) and "would be overwritten" in failed.stderr


def test_a_dry_run_asks_nothing(tmp_path: Path) -> None:
    with scripted_teacher() as teacher:
        done = run(teacher.base_url, requests_file(tmp_path, 3), tmp_path / "rows.jsonl", "--dry-run", "-n", "5")
        assert (done.returncode, done.stdout) == (0, "would play 3 requests 5 times each with right\n")
        assert not teacher.asked and [path.name for path in tmp_path.iterdir()] == ["requests.jsonl"]


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "rows.answers.jsonl"
    with open_journal(path), pytest.raises(UserError, match="another run is writing"), open_journal(path):
        pass


def test_a_foreign_journal_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.answers.jsonl"
    path.write_text('{"hello": 1}\n')
    with pytest.raises(UserError, match=r"rows.answers.jsonl:1: is no answer of a teacher"), open_journal(path):
        pass


def test_it_starts_without_torch() -> None:
    code = "import data.distill, data.exercise, sys; print(*sorted({'torch', 'transformers'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "\n", "")
