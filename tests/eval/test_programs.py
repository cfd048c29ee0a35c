"""eval.run and eval.gate as a user starts them: output, files and exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval.evaluation import read_evaluation
from eval.suite import Suite
from tests.eval.planted_server import planted_server
from tests.eval.rows import CREATE, SMALL_TALK, suite_of

Process = subprocess.CompletedProcess[str]


def program(name: str, *words: str | Path) -> Process:
    return subprocess.run([sys.executable, "-m", name, *map(str, words)], capture_output=True, text=True, timeout=300)


def score(folder: Path, suite: Suite, model: str, *words: str | Path) -> Process:
    with planted_server(suite.items) as url:
        return program(
            "eval.run", *suite.paths, "--base-url", url, "--model", model, "--max-retries", "0", "--timeout-s", "1",
            "--out", folder / "eval.json", *words,
        )  # fmt: skip


def recipe(folder: Path, gate: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(f"name: x\nmodel: {{path: somewhere}}\nsft: {{learning_rate: 1}}\ngate: {gate}\n")
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path, *[CREATE] * 80, *[SMALL_TALK] * 80)


@pytest.fixture
def short(tmp_path: Path) -> Suite:
    """Too short to pass, long enough to run."""
    return suite_of(tmp_path, *[CREATE] * 8, SMALL_TALK)


EASY = "{thresholds: {exact: 0.95, should_not_call: 0.95, valid_json: 0.95}}"


@pytest.mark.parametrize(
    ("model", "gate", "status", "words"),
    [
        ("right", EASY, 0, "PASS  right"),
        ("wrong_value", EASY, 1, "exact: 0.0 % of 80, below 95.0 %"),
        ("right", "{}", 3, "valid_json: 100.0 % of 80, but with 95 % confidence only at least 95.4 %, not 99.0 %"),
        ("no_call", EASY, 1, "valid_json: no data"),
        ("garbage", EASY, 1, "answered: 240 of 240 items ended without an answer; allowed: 0.0 %"),
        ("right", "{thresholds: {exact: 0.9}, latency_p95_ms: 0.001}", 1, "latency_p95_ms: p95 "),
    ],
)
def test_the_gate_says_pass_fail_or_need_more_data(
    tmp_path: Path, suite: Suite, model: str, gate: str, status: int, words: str
) -> None:
    scored = score(tmp_path, suite, model, "--baseline", "empty_answer", "--recipe", recipe(tmp_path, gate))
    assert (scored.returncode, scored.stderr.count("Traceback")) == (0, 0), scored.stderr
    gated = program("eval.gate", tmp_path / "eval.json")
    assert gated.returncode == status, gated.stdout
    assert words in gated.stdout
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["outcome"] == {0: "PASS", 1: "FAIL", 3: "NEED MORE DATA"}[status]


def test_more_data_is_put_in_numbers(tmp_path: Path, short: Suite) -> None:
    score(tmp_path, short, "right", "--baseline", "no_call")
    assert "at this rate 381 scored items would do, 373 more" in program("eval.gate", tmp_path / "eval.json").stdout


def test_no_baseline_fails_unless_the_recipe_says_that_none_is_needed(tmp_path: Path, suite: Suite) -> None:
    score(tmp_path, suite, "right", "--recipe", recipe(tmp_path, EASY))
    gated = program("eval.gate", tmp_path / "eval.json")
    assert gated.returncode == 1 and "no baseline was scored" in gated.stdout
    relaxed = recipe(tmp_path, EASY.replace("{thresholds", "{require_baseline: false, thresholds"))
    assert program("eval.gate", tmp_path / "eval.json", "--recipe", relaxed).returncode == 0


def test_a_model_that_lost_to_its_baseline_fails(tmp_path: Path, short: Suite) -> None:
    low = recipe(tmp_path, "{thresholds: {should_not_call: 0.9}}")
    score(tmp_path, short, "wrong_value", "--baseline", "right", "--recipe", low)
    gated = program("eval.gate", tmp_path / "eval.json")
    assert gated.returncode == 1
    assert "0 only the candidate got exactly right, 8 only the baseline" in gated.stdout


def test_a_baseline_file_stands_in_for_a_second_model_if_the_suite_is_the_same(tmp_path: Path, short: Suite) -> None:
    score(tmp_path, short, "no_call")
    (tmp_path / "eval.json").rename(tmp_path / "base.json")
    scored = score(tmp_path, short, "right", "--baseline-file", tmp_path / "base.json")
    assert scored.returncode == 0 and "no_call" in scored.stdout
    written = json.loads((tmp_path / "eval.json").read_text())
    assert (written["baseline"]["endpoint"]["model"], written["candidate"]["endpoint"]["model"]) == ("no_call", "right")

    other = score(tmp_path, short, "right", "--baseline-file", tmp_path / "base.json", "--limit", "5")
    assert other.returncode == 2 and "not comparable: its suite is" in other.stderr
    other = score(tmp_path, short, "right", "--baseline-file", tmp_path / "base.json", "--max-tokens", "5")
    assert other.returncode == 2 and "not comparable: its sampling is" in other.stderr


def test_eval_json_holds_what_is_needed_to_run_it_again_but_no_key(tmp_path: Path, short: Suite) -> None:
    score(tmp_path, short, "right", "--api-key", "sk-secret", "--seed", "3")
    text = (tmp_path / "eval.json").read_text()
    written = json.loads(text)
    assert "sk-secret" not in text and "--api-key '***'" in written["command"]
    assert written["suite"]["sha256"] == short.sha256
    assert written["suite"]["kinds"] == {"call": 8, "answer": 8, "no_call": 1}
    assert (written["sampling"]["temperature"], written["sampling"]["seed"]) == (0, 3)
    assert written["candidate"]["endpoint"]["server_version"] == "0.32.0-planted"
    assert written["candidate"]["scores"]["metrics"]["functional"]["rate"] is None


def test_the_report_holds_numbers_and_failures_and_no_markup_of_the_rows(tmp_path: Path, short: Suite) -> None:
    score(tmp_path, short, "wrong_value", "--baseline", "right", "--report", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "FAIL" in page and "0 of 8" in page and short.sha256 in page
    assert "Add &lt;b&gt;milk&lt;/b&gt;" in page and "<b>milk" not in page
    assert '<code><span class="diff">&#34;Something else&#34;</span></code>' in page
    assert "http://www" not in page and "https://" not in page and "<script" not in page


def test_a_dry_run_asks_nothing(tmp_path: Path, short: Suite) -> None:
    dry = score(tmp_path, short, "right", "--dry-run")
    assert dry.returncode == 0 and "would ask 17 items" in dry.stdout
    assert not (tmp_path / "eval.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "absent"], "unknown model 'absent'"),
        (["--base-url", "http://127.0.0.1:1/v1"], "cannot be reached"),
        (["--concurrency", "0"], "--concurrency 0: Input should be greater than 0"),
        (["--recipe", "absent.yaml"], "absent.yaml: no such recipe"),
        (["--out", "/proc/absent/eval.json"], "/proc/absent/eval.json: "),
    ],
)
def test_a_users_fault_is_one_line_and_status_2(tmp_path: Path, short: Suite, words: list[str], message: str) -> None:
    failed = score(tmp_path, short, "right", *words)
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1 and message in failed.stderr
    assert not (tmp_path / "eval.json").exists()


def test_the_gate_refuses_a_file_that_is_missing_foreign_or_touched(tmp_path: Path, short: Suite) -> None:
    path = tmp_path / "eval.json"
    assert program("eval.gate", path).returncode == 2
    path.write_text('{"schema_version": 1}')
    assert "not an eval.json" in program("eval.gate", path).stderr
    score(tmp_path, short, "wrong_value", "--baseline", "right")
    written = json.loads(path.read_text())
    exact = written["candidate"]["scores"]["metrics"]["exact"]
    path.write_text(json.dumps(written).replace(f'"high": {exact["high"]}', '"high": 0.5'))
    assert read_evaluation(path).candidate.scores.metrics["exact"].high == exact["high"], (
        "computed anew, by today's rule"
    )
    written["candidate"]["scores"]["metrics"]["exact"] = written["baseline"]["scores"]["metrics"]["exact"]
    path.write_text(json.dumps(written))
    touched = program("eval.gate", path)
    assert touched.returncode == 2 and "do not follow from its results" in touched.stderr


def test_an_unknown_threshold_or_key_is_refused(tmp_path: Path, short: Suite) -> None:
    score(tmp_path, short, "right")
    for gate, message in (("{thresholds: {exactly: 0.9}}", "exactly"), ("{max_notrun: 0.9}", "max_not_run")):
        refused = program("eval.gate", tmp_path / "eval.json", "--recipe", recipe(tmp_path, gate))
        assert refused.returncode == 2 and message in refused.stderr
