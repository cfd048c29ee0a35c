"""eval.grade as a user starts it."""

import json
from pathlib import Path

import pytest

from tests.eval.test_programs import program

CRITERIA = [
    {"type": "string_check", "name": "right tool", "operation": "eq",
     "input": "{{sample.output_tools[0].function.name}}", "reference": "{{item.tool}}"},
    {"type": "text_similarity", "name": "answer", "evaluation_metric": "rouge_l", "pass_threshold": 0.5,
     "input": "{{sample.output_text}}", "reference": "{{item.answer}}"},
]  # fmt: skip


def files(folder: Path, criteria: object, *rows: object) -> tuple[Path, Path]:
    definition, samples = folder / "eval.json", folder / "samples.jsonl"
    definition.write_text(json.dumps({"name": "mine", "data_source_config": {}, "testing_criteria": criteria}))
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return definition, samples


def row(called: str, text: str) -> dict[str, object]:
    message = {"content": text, "tool_calls": [{"type": "function", "function": {"name": called, "arguments": "{}"}}]}
    return {"item": {"tool": "f", "answer": "two tasks are open"}, "message": message}


def test_every_grader_is_told_with_its_interval_and_written(tmp_path: Path) -> None:
    silent = {"item": {"tool": "f", "answer": "none"}, "sample": {"output_text": "none", "output_tools": []}}
    rows = row("f", "Two tasks are open."), row("g", "No idea."), silent
    graded = program("eval.grade", *files(tmp_path, CRITERIA, *rows), "--out", tmp_path / "grades.json")
    assert graded.returncode == 1, graded.stderr
    assert "33.3 % of 3" in graded.stdout and "66.6 % of 3" in graded.stdout
    grades = json.loads((tmp_path / "grades.json").read_text())["grades"]
    assert [[one["passed"] for one in of_row] for of_row in grades] == [[True, True], [False, False], [False, True]]
    assert grades[2][0]["why"].startswith("nothing at 0")
    assert program("eval.grade", *files(tmp_path, CRITERIA, rows[0])).returncode == 0


@pytest.mark.parametrize(
    ("criteria", "rows", "message"),
    [
        ([], [row("f", "")], "no `testing_criteria`"),
        ([{"type": "python"}], [row("f", "")], "testing_criteria[0]: a grader of type 'python' is not run here"),
        (CRITERIA, [], "no samples"),
        (CRITERIA, [row("f", ""), {"item": {}}], "samples.jsonl:2: no item with a sample"),
    ],
)
def test_a_users_fault_is_one_line(tmp_path: Path, criteria: object, rows: list[object], message: str) -> None:
    failed = program("eval.grade", *files(tmp_path, criteria, *rows))
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1) and message in failed.stderr
