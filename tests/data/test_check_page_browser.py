"""The page of data.check in a real browser, where one is installed: its script runs, and no other does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.data.rows import GOOD, good_file
from tests.data.test_check import RECOVERY, WARNED, check
from tests.data.test_check_page import ATTACK, HOSTILE, Element, Tree

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no browser is installed")
    return found


def opened(browser: str, page: Path, profile: Path) -> Element:
    """The page as it stands after its scripts."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr
    return Tree(shown.stdout).root


def test_the_page_works_and_runs_no_script_of_a_row(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "check.html"
    checked = check(good_file(tmp_path / "rows.jsonl", GOOD, RECOVERY, WARNED, ATTACK), "--html", page)
    assert checked.returncode == 0
    # Even markup that slipped through would not run: the second script is not the page's own.
    slipped = "<script>document.body.innerHTML = ''</script><img src=x onerror=\"document.body.innerHTML = ''\"></main>"
    page.write_text(page.read_text().replace("</main>", slipped))
    tree = opened(browser, page, tmp_path / "profile")
    bars = tree.find("p", kind="browse")
    assert [" ".join(bar.find("output")[0].text.split()) for bar in bars] == ["1 of 1", "4 of 4"]
    assert ["hidden" in bar.attributes for bar in bars] == [False, False]
    assert sum(HOSTILE in item.text for item in tree.find("details", kind="row")) == 1
    assert len(re.findall(r"\S", tree.text)) > 1000
