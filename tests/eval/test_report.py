"""The report in a real browser, and what is written beside it for CI and for readers."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eval.expected import ExpectedCall
from eval.latency_file import read_latency
from eval.matching import Score
from eval.reply import RawCall, Reply
from eval.scores import Result
from eval.side_by_side import side_by_side
from eval.suite import Suite
from tests.data.test_check_page import Element, Tree
from tests.data.test_check_page_browser import BROWSERS
from tests.eval.planted_server import planted_server
from tests.eval.rows import CREATE, SMALL_TALK, suite_of
from tests.eval.test_programs import program

LOAD = {
    "concurrency": 8, "rate": None, "num_requests": 200, "num_failed": 0, "why": "", "calls_per_s": 12.5,
    "prompt_tokens": 400, "completion_tokens": 30, "first_token_ms": {"p50": 40, "p95": 70, "p99": 90},
    "whole_ms": {"p50": 400, "p95": 700, "p99": 900},
}  # fmt: skip
LATENCY = {
    "schema_version": 1, "endpoint": {"base_url": "http://a/v1", "model": "right"}, "loads": [LOAD],
    "prices": {"gpu_per_hour": 3.6, "api_per_million_in": 2.5, "api_per_million_out": 10},
    "cost": {
        "api_per_1000": 1.3, "own_per_1000": 0.08, "capacity_calls_per_s": 12.5, "break_even_calls_per_s": 0.77,
        "is_ever_cheaper": True,
    },
}  # fmt: skip
WHOLE = {"k": 26, "n": 26, "rate": 1.0, "low": 0.87, "high": 1.0}
WATERFALL = {
    "created": "", "command": "", "endpoint": LATENCY["endpoint"], "against": [], "settings": {},
    "tells_model_text": True, "items": [],
    "steps": [{"layer": "parser", "lost": {"leaked_call": 2}, "left": WHOLE}],
    "ways": [
        {
            "name": name, "rate": WHOLE, "both": 22, "only_auto": 1, "only_this": 3, "neither": 0, "not_run": 0,
            "p_value": 0.625,
        }
        for name in ("strict", "quantised")
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went worse than the one before it, with all that other programs leave beside it."""
    folder = tmp_path_factory.mktemp("run")
    suite: Suite = suite_of(folder, *[CREATE] * 12, SMALL_TALK)
    (folder / "latency.json").write_text(json.dumps(LATENCY))
    (folder / "waterfall.json").write_text(json.dumps(WATERFALL))
    out = ["--out", folder / "eval.json", "--report", folder / "report.html", "--baseline", "no_call"]
    with planted_server(suite.items) as url:
        for model, beside in (("right", []), ("wrong_tool", ["--beside", folder / "right.json"])):
            scored = program("eval.run", *suite.paths, "--base-url", url, "--model", model, *out, *beside)
            assert scored.returncode == 0, scored.stderr
            shutil.copy(folder / "eval.json", folder / f"{model}.json")
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Element:
    """As a browser shows it: the tree after it was laid out."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not browser:
        pytest.skip("no browser is installed: apt-get install chromium")
    report = folder / "report.html"
    # What a model wrote may be markup; even if it slipped through, nothing of it may run or load.
    attack = "<script>document.body.innerHTML = ''</script><img src=x onerror=\"document.body.innerHTML = ''\"></main>"
    attacked = folder / "attacked.html"
    attacked.write_text(report.read_text().replace("</main>", attack))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    shown = subprocess.run([*command, "--dump-dom", attacked.as_uri()], capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr
    return Tree(shown.stdout).root


def test_the_verdict_and_its_reason_come_first(page: Element) -> None:
    verdict = page.find("section")[0]
    assert "FAIL" in verdict.text
    assert "Not to be deployed: tool name: 0.0 % of 12, below 95.0 %." in " ".join(verdict.text.split())


def test_tools_arguments_waterfall_load_and_history_are_shown(page: Element) -> None:
    sections = {section.attributes.get("id"): " ".join(section.text.split()) for section in page.find("section")}
    assert {"since", "waterfall", "latency", "history"} <= sections.keys()
    assert "0 gained, 12 lost" in sections["since"] and "list_tasks instead of create_task" in sections["since"]
    assert "leaked call 2" in sections["waterfall"]
    ways = next(table for table in page.find("table") if table.attributes.get("id") == "ways")
    shown = [" ".join(cell.text.strip() for cell in way.find("td")) for way in ways.find("tr")[1:]]
    assert [" ".join(text.split()) for text in shown] == ["100.0 % 26 of 26 · 87.0 to 100.0 % 1 3 0 0.62"] * 2
    assert "From 0.77 calls a second on, all day, the machine is cheaper" in sections["latency"]
    assert "right" in sections["history"] and "wrong_tool" in sections["history"]
    matrix = next(table for table in page.find("table") if table.attributes.get("id") == "confusion")
    cells = [cell.text.strip() for cell in matrix.find("td") if cell.attributes.get("class") == "miss"]
    assert cells == ["12"], "create_task was expected twelve times, and list_tasks called"


def test_any_number_of_models_stand_side_by_side(page: Element) -> None:
    heads = [[cell.text.strip() for cell in table.find("thead")[0].find("th")] for table in page.find("table")]
    models = ["no_call", "wrong_tool", "right"]
    assert ["metric", *models, "threshold"] in heads and ["", *models] in heads and ["in a word", *models] in heads
    bars = [bar.attributes["aria-label"].split(":")[0] for bar in page.find("svg") if "aria-label" in bar.attributes]
    assert bars[:3] == ["baseline", "candidate", "other"]


def test_the_page_loads_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert "default-src 'none'" in text and "<script" not in text and "src=" not in text and "@import" not in text


def test_the_gate_writes_junit_and_a_model_card(folder: Path) -> None:
    (folder / "rows").mkdir(exist_ok=True)
    (folder / "rows" / "data_card.md").write_text("# Data\n\n12 rows by hand.\n")
    gated = program(
        "eval.gate", folder / "eval.json", "--junit", folder / "junit.xml", "--model-card", folder / "model_card.md"
    )
    assert gated.returncode == 1, gated.stderr
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    cases = {case.attrib["name"]: case.find("failure") for case in suites.iter("testcase")}
    assert int(suites.attrib["failures"]) == sum(failure is not None for failure in cases.values()) > 0
    assert cases["answered"] is None
    failure = cases["exact"]
    assert failure is not None and failure.attrib["message"].startswith("FAIL: 0.0 % of 12")
    card = (folder / "model_card.md").read_text()
    assert "# wrong_tool" in card and "**FAIL**" in card and "### Data\n\n12 rows by hand." in card
    assert "| exact | 0.0 % of 12 (0.0 to 24.3) | 0.0 % of 12 (0.0 to 24.3) | 100.0 % of 12 (" in card


def test_a_file_beside_it_that_is_somebody_elses_is_a_users_fault(folder: Path, tmp_path: Path) -> None:
    assert read_latency(folder / "latency.json").loads[0].title == "8 at a time"
    shutil.copy(folder / "eval.json", tmp_path)
    for name in ("latency.json", "waterfall.json"):
        (tmp_path / name).write_text("{}")
        refused = program("eval.gate", tmp_path / "eval.json", "--report", tmp_path / "report.html")
        assert refused.returncode == 2 and f"not a {name}" in refused.stderr
        (tmp_path / name).unlink()


def test_the_letters_that_differ_are_marked_and_not_the_whole_text() -> None:
    item = ExpectedCall(name="create_task", arguments={"title": "Buy milk", "size": 2})
    given = RawCall(name="create_task", arguments='{"title": "Buy silk", "size": "2"}')
    wrong = Result(
        id="a:1#2", kind="call", request="", expected_calls=[item], expected_text="",
        answer=Reply(content="", calls=[given], finish_reason="stop", latency_s=1), score=Score(verdict="wrong"),
    )  # fmt: skip
    shown = side_by_side(wrong)
    title, size = shown.given[0].arguments
    assert title.parts == [('"Buy ', False), ("s", True), ('ilk"', False)] and size.parts == [('"2"', True)]
    assert shown.expected[0].arguments[0].parts == [('"Buy ', False), ("m", True), ('ilk"', False)]
