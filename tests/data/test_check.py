"""data.check as a user starts it: figures, whole finding lines, exit status and JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.row_summary import shape_of
from data.token_summary import Spread
from tests.data.rows import GOOD, good_file, ping, raw, result, row, says, user

RECOVERY = raw(user("Ping b"), says(None, ping('{"hots": "b"}'), weight=0), result("error"), says(None, ping()))
WARNED = raw(user("Hi"), says("Hello."), user("Bye"))
BAD = raw(user("Hi"), says(None, ping(name="pong"), ping(call_id="c2", name="pong")))
UNANSWERED = raw(user("Hi"), says(None, ping()), says("Done."))
LONG = raw(user("long " * 300), says("Yes."))
TOO_LONG = "the row is 452 tokens long, 152 more than the 300 allowed"


def check(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data.check", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def figures(output: str) -> dict[str, str]:
    """Of the first table; the coverage of the tools follows it."""
    cells = [line.split("│") for line in output.split("└")[0].splitlines() if line.startswith("│")]
    return {name.strip(): figure.strip() for _, name, figure, _ in cells}


def tool_table(output: str) -> list[list[str]]:
    lines = output.split("└")[1].splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]


def advice(output: str) -> list[str]:
    return [line.removeprefix("advice ") for line in output.splitlines() if line.startswith("advice ")]


def below_figures(output: str) -> list[str]:
    """Without the advice, which every small set gets."""
    lines = [line for line in output.splitlines() if line and line[0] not in "│┌├└┏┡┃"]
    return [line for line in lines if not line.startswith("advice ")]


def test_good_rows_are_counted(tmp_path: Path) -> None:
    parallel = raw({"role": "system", "content": "Hm."}, user("Hi"), says(None, ping(), ping(call_id="c2")))
    checked = check(good_file(tmp_path / "a.jsonl", GOOD, RECOVERY), good_file(tmp_path / "b.jsonl", parallel, WARNED))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert figures(checked.stdout) == {
        "lines": "4", "rows good": "4", "rows refused": "0", "duplicates": "0", "near-duplicates": "0",
        "messages": "14", "personas": "2 (of 2 system prompts)",
        "rows, single": "1 (25.0%)",
        "rows, parallel": "1 (25.0%)", "rows, multi_step": "0 (0.0%)", "rows, recovery": "1 (25.0%)",
        "rows, no_call": "1 (25.0%)", "rows, general": "0 (0.0%)", "calls": "5", "tools called": "1 of 1",
        "arguments given": "1 of 2",
    }  # fmt: skip
    assert tool_table(checked.stdout) == [["ping", "4", "4", "n"]]
    assert [line.split(":")[0] for line in advice(checked.stdout)] == [
        "few_rows", "few_personas", "no_multi_step", "few_of_a_kind", "little_general", "unused_arguments",
    ]  # fmt: skip
    assert below_figures(checked.stdout) == [
        "warning ends_without_answer: 1",
        f"{tmp_path}/b.jsonl:2: the row does not end on the assistant",
        "4 of 4 rows are good",
    ]


def test_findings_come_worst_first_with_their_counts(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", WARNED, UNANSWERED, GOOD, BAD)
    checked = check(path)
    assert (checked.returncode, checked.stderr) == (2, "")
    assert below_figures(checked.stdout) == [
        "error unknown_tool: 2",
        f"{path}:4: message 2, key \"tool_calls[0].function.name\": calls 'pong', which is not in tools"
        " (fix: list the tool)",
        f"{path}:4: message 2, key \"tool_calls[1].function.name\": calls 'pong', which is not in tools"
        " (fix: list the tool)",
        "error unanswered_call: 1",
        f'{path}:2: message 3, key "tool_call_id": Missing tool message for tool_call_id "c1"'
        " (fix: add the result before this message)",
        "warning ends_without_answer: 1",
        f"{path}:1: the row does not end on the assistant",
        "2 of 4 rows are good",
    ]
    assert figures(checked.stdout)["rows refused"] == "2"


def test_twenty_findings_a_rule_are_printed_and_all_on_request(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", *[UNANSWERED] * 25)
    few, every = check(path).stdout, check(path, "--all").stdout
    assert [line.split(":")[1] for line in few.splitlines() if line.startswith(str(path))] == [
        str(line) for line in range(1, 21)
    ]
    assert "... and 5 more unanswered_call; --all prints them" in few
    assert [line.split(":")[1] for line in every.splitlines() if line.startswith(str(path))] == [
        str(line) for line in range(1, 26)
    ]


def test_with_a_tokenizer_rows_are_rendered_and_measured(tmp_path: Path, smollm2: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD, LONG, UNANSWERED)
    checked = check(path, "--tokenizer", smollm2, "--max-length", "300")
    assert (checked.returncode, checked.stderr) == (2, "")
    assert below_figures(checked.stdout) == [
        "error too_long: 1",
        f"{path}:2: {TOO_LONG} (fix: shorten it, or raise --max-length)",
        "error unanswered_call: 1",
        f'{path}:3: message 3, key "tool_call_id": Missing tool message for tool_call_id "c1"'
        " (fix: add the result before this message)",
        "1 of 3 rows are good",
    ]
    assert {
        "tokens a row": "mean 329.0, p95 452, max 452", "trained tokens a row": "mean 17.5, p95 32, max 32",
        "trained share": "5.3% of all tokens", "rendered with": "chatml template, at most 300 tokens",
        "tokens of 3 epochs": "618", "trained tokens of 3 epochs": "96",
    }.items() <= figures(checked.stdout).items()  # fmt: skip


def test_the_json_report_has_figures_advice_and_findings(tmp_path: Path, smollm2: Path) -> None:
    path, out = good_file(tmp_path / "rows.jsonl", GOOD, LONG, UNANSWERED), tmp_path / "check.json"
    assert check(path, "--tokenizer", smollm2, "--max-length", "300", "--json", out).returncode == 2
    report = json.loads(out.read_text())
    assert list(report) == ["rows", "tokens", "tools", "held_out", "run", "advice", "counts", "findings"]
    assert report["rows"] == {
        "lines": 3, "good": 1, "refused": 2, "preferences": 0, "duplicates": 0, "near_duplicates": 0, "messages": 4,
        "shapes": {"single": 1, "parallel": 0, "multi_step": 0, "recovery": 0, "no_call": 0, "general": 0},
        "personas": 1, "system_prompts": 1,
    }  # fmt: skip
    assert report["tokens"] == {
        "template": "chatml", "max_length": 300, "rendered": 2, "tokens": {"mean": 329.0, "p95": 452, "max": 452},
        "trained_tokens": {"mean": 17.5, "p95": 32, "max": 32}, "trained_share": 35 / 658,
        "total_tokens": 206, "total_trained_tokens": 32,
    }  # fmt: skip
    assert report["tools"] == [
        {
            "name": "ping", "rows": 1, "calls": 1, "trained_calls": 1,
            "arguments": [{"name": "host", "calls": 1, "values": []}, {"name": "n", "calls": 0, "values": []}],
        }
    ]  # fmt: skip
    assert report["held_out"] is None
    assert report["run"] == {
        "epochs": 3.0, "tokens": 618, "trained_tokens": 96, "tokens_per_second": None, "gpu_hours": None,
    }  # fmt: skip
    assert report["advice"][0] == {
        "name": "few_rows", "found": "1 training row", "why": "a few tools want 200 or more",
        "do": "bring in more traces with data.convert; hard and varied ones are worth more than many alike",
    }  # fmt: skip
    assert report["counts"] == {"too_long": 1, "unanswered_call": 1}
    assert report["findings"][0] == {
        "path": str(path), "line": 2, "rule": "too_long", "reason": TOO_LONG, "message": None, "key": "",
        "fix": "shorten it, or raise --max-length", "severity": "error",
    }  # fmt: skip
    assert sorted(tmp_path.iterdir()) == [out, path]


def test_a_template_may_be_named_and_must_be_where_the_folder_names_none(tmp_path: Path, smollm2: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl")
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in smollm2.glob("tokenizer*.json"):
        (bare / file.name).write_bytes(file.read_bytes())
    assert figures(check(path, "--tokenizer", bare, "--template", "chatml").stdout)["rendered with"] == (
        "chatml template, at most any number of tokens"
    )
    unnamed = check(path, "--tokenizer", bare)
    assert (unnamed.returncode, unnamed.stderr) == (
        2, f"error: --template: no template: {bare} has no calltune.json to name one (fix: give llama3 or chatml)\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.jsonl"], "absent.jsonl: cannot be read: No such file or directory (fix: check the path)"),
        (["empty.jsonl"], "empty.jsonl: the file is empty (fix: one JSON object a line: messages and tools)"),
        (["binary.jsonl"], "binary.jsonl: is not UTF-8 JSONL: 'utf-8' codec can't decode byte 0xff in position 0: "
         "invalid start byte (fix: save it as UTF-8)"),
        (["rows.jsonl", "--template", "chatml"], "--template: needs a tokenizer (fix: add --tokenizer FOLDER)"),
        (["rows.jsonl", "--max-length", "9"], "--max-length: needs a tokenizer (fix: add --tokenizer FOLDER)"),
        (["rows.jsonl", "--tokenizer", ".", "--max-length", "0"],
         "--max-length: 0 tokens hold no row (fix: give a number from 1 up)"),
        (["rows.jsonl", "--epochs", "2"], "--epochs: needs a tokenizer (fix: add --tokenizer FOLDER)"),
        (["rows.jsonl", "--tokenizer", ".", "--epochs", "-1"],
         "--epochs: -1 is too little or too much (fix: give a number above 0)"),
        (["rows.jsonl", "--tokenizer", ".", "--tokens-per-second", "nan"],
         "--tokens-per-second: nan is too little or too much (fix: give a number above 0)"),
        (["rows.jsonl", "--html", "./rows.jsonl"],
         "rows.jsonl: would be overwritten, as it is also an input (fix: name another)"),
        (["--test", "rows.jsonl", "--json", "rows.jsonl"],
         "rows.jsonl: would be overwritten, as it is also an input (fix: name another)"),
        (["rows.jsonl", "--html", "rows.jsonl/check.html"],
         "rows.jsonl/check.html: cannot be written: File exists (fix: give a path in a folder that you own)"),
        (["rows.jsonl", "--tokenizer", ".", "--template", "llama9"],
         "unknown template 'llama9' (fix: use one of llama3, chatml)"),
        (["rows.jsonl", "--tokenizer", "gone", "--template", "llama3"],
         "gone: holds no tokenizer (fix: give a model folder, for example runs/NAME/base or a download)"),
        (["rows.jsonl", "--json", "rows.jsonl/check.json"],
         "rows.jsonl/check.json: cannot be written: File exists (fix: give a path in a folder that you own)"),
    ],
)  # fmt: skip
def test_a_users_fault_is_one_line_and_status_2(
    tmp_path: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good_file(tmp_path / "rows.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    failed = check(*words)
    assert (failed.returncode, failed.stderr) == (2, f"error: {message}\n")
    assert sorted(tmp_path.iterdir()) == before


def test_control_characters_of_a_row_stay_on_one_line(tmp_path: Path) -> None:
    path = good_file(
        tmp_path / "rows.jsonl", raw(user("Hi"), says(None, ping()), result("ok", "[red]\n\t1"), says("."))
    )
    assert f'{path}:1: message 3, key "tool_call_id": tool_call_id "[red] 1" does not match' in check(path).stdout


def test_a_row_has_the_first_shape_that_fits() -> None:
    call, two = says(None, ping()), says(None, ping(), ping(call_id="c2"))
    shapes = [
        shape_of(row(user("Hi"), *turns))
        for turns in (
            [says("Hello.")],
            [call],
            [call, result("ok"), says("Done."), user("Again"), call],
            [call, result("ok"), call],
            [call, result("ok"), two],
            [says(None, ping(), weight=0), result("no"), two],
        )
    ]
    assert shapes == ["no_call", "single", "single", "multi_step", "parallel", "recovery"]


def test_the_95th_percentile_is_a_count_that_was_seen() -> None:
    assert Spread.of(list(range(1, 101))) == (50.5, 95, 100)
    assert Spread.of([7]) == (7.0, 7, 7)
    assert Spread.of([]) == (0.0, 0, 0)
