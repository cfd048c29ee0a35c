"""One small bad file a rule (golden/rules/), and every line that data.check prints for it (golden/rules/expected.txt).

S1 to S25 and P1 to P8 are the rules of OpenAI's fine-tuning file contract; the other files are named as the rules are.
"""

import sys
from pathlib import Path

import pytest

from data import check
from data.rules.severities import RuleSeverities

FOLDER = Path(__file__).parent / "golden" / "rules"
OPTIONS = {"leak": ["--test", str(FOLDER / "leak.held-out.jsonl")], "too_long": ["--max-length", "10"]}
NEED_A_TOKENIZER = {"S25", "too_long"}


def expected() -> dict[str, list[str]]:
    """`== NAME`, then the printed lines, with file names without their folder."""
    sections = (FOLDER / "expected.txt").read_text().split("== ")[1:]
    return {lines[0]: lines[1:] for lines in (section.splitlines() for section in sections)}


def printed(
    name: str, tokenizer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Findings and the headings of their rules."""
    words = ["check", str(FOLDER / f"{name}.jsonl"), *OPTIONS.get(name, [])]
    words += ["--tokenizer", str(tokenizer)] if name in NEED_A_TOKENIZER else []
    monkeypatch.setattr(sys, "argv", words)
    status = check.main()
    out = capsys.readouterr().out.replace(f"{FOLDER}/", "").splitlines()
    lines = [line for line in out if line.startswith(("error ", "warning ")) or ".jsonl:" in line]
    assert status == (2 if any(line.startswith("error ") for line in lines) else 0)
    return lines


@pytest.mark.parametrize("name", expected())
def test_the_printed_lines_of_a_rule(
    name: str, smollm2: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(name, smollm2, capsys, monkeypatch) == expected()[name]


def test_every_rule_and_every_file_has_its_lines() -> None:
    table = expected()
    rules = {line.split()[1].rstrip(":") for lines in table.values() for line in lines if ".jsonl:" not in line}
    assert rules == set(RuleSeverities.model_fields)
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == {*table, "leak.held-out"}
    assert {f"S{number}" for number in range(1, 26)} | {f"P{number}" for number in range(1, 9)} <= set(table)
