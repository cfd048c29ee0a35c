"""data.show as a user starts it."""

import os
import subprocess
import sys
from pathlib import Path

from data.colour import coloured
from data.render import render
from data.template import load_template
from tests.data.rows import GOOD, good_file, ping, raw, result, row, says, user

ROW = raw(user("Ping a"), says(None, ping({"hots": 1}), weight=0), result("no"), says("Again.", ping(call_id="c2")))


def show(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data.show", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"COLUMNS": "120"})


def cells(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def test_a_row_is_shown_with_its_tokens_and_the_reason_for_each_turn(tmp_path: Path, smollm2: Path) -> None:
    shown = show(good_file(tmp_path / "rows.jsonl", GOOD, ROW), "--row", "2", "--tokenizer", smollm2)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert '<|im_start|>assistant\nAgain.\n<tool_call>\n{"name": "ping"' in shown.stdout
    assert "trained  context  control token\n32 of 234 tokens trained (13.7%)\n" in shown.stdout
    assert cells(shown.stdout) == [
        ["1", "user", "context", "written by the user", "", "Ping a"],
        ["2", "assistant", "context", "weight is 0", "28", "ping({'hots': 1})"],
        ["3", "tool", "context", "a tool's result", "", "no"],
        ["4", "assistant", "trained", "the assistant's text and call", "32", "Again. ping({'host': 'a'})"],
    ]


def test_without_a_tokenizer_the_turns_are_listed(tmp_path: Path) -> None:
    shown = show(good_file(tmp_path / "rows.jsonl"), "--row", "1")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line[:4] for line in cells(shown.stdout)] == [
        ["1", "user", "context", "written by the user"],
        ["2", "assistant", "trained", "the assistant's call"],
        ["3", "tool", "context", "a tool's result"],
        ["4", "assistant", "trained", "the assistant's text"],
    ]
    assert shown.stdout.splitlines()[-1] == "add --tokenizer FOLDER to see the tokens"


def test_a_row_that_is_not_there_or_not_good_is_refused_in_one_line(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD, raw(user("Hi"), says("")))
    for number in ("0", "3", "-1"):
        absent = show(path, "--row", number)
        assert (absent.returncode, absent.stderr) == (
            2, f"error: {path}: no row in line {number} (fix: give --row a number from 1 to 2)\n"
        )  # fmt: skip
    bad = show(path, "--row", "2")
    assert (bad.returncode, bad.stderr) == (
        2,
        f'error: {path}:2: message 2, key "content": content is required unless tool_calls is given (fix: write it)\n',
    )


def test_colours_say_what_is_trained_and_what_controls(chatml: object) -> None:
    rendered = render(row(user("Hi ☕"), says("Hello ☕."), tools=[]), chatml, load_template("chatml"))
    text = coloured(rendered, chatml)
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [
        ("<|im_start|>", "magenta"),
        ("user\nHi ☕", "dim"),
        ("<|im_end|>", "magenta"),
        ("\n", "dim"),
        ("<|im_start|>", "magenta"),
        ("assistant\n", "dim"),
        ("Hello ☕.", "bold green"),
        ("<|im_end|>", "bold green underline"),
        ("\n", "dim"),
    ]
