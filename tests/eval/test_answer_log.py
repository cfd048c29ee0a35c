"""A killed eval.run goes on: what was answered is not asked again, and what is written is as if it was never killed."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response

from data.journal import Journal
from data.row import JsonObject
from data.user_error import UserError
from eval.answer_log import AnswerLog, answer_key, log_path, open_answer_log, weights_sha256
from eval.client import ask_all
from eval.endpoint import Endpoint
from eval.item import Item
from eval.reply import Reply
from eval.settings import EvalSection
from eval.suite import Suite
from tests.eval.planted_server import PLANTED, planted_server, right
from tests.eval.rows import calls_message, row, suite_of, user
from tests.eval.test_programs import score

NUM_ITEMS = 60
REPLY = Reply(content="é\ud800", calls=[], finish_reason="stop", latency_s=0.1)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    titles = [f"Title {number}" for number in range(NUM_ITEMS)]
    return suite_of(tmp_path, *[row(user(f"Add {t}"), calls_message(("create_task", {"title": t}))) for t in titles])


class Counted:
    """The right answer after a while; counts how often each item was asked."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.asked: Counter[str] = Counter()
        self._pause_s = pause_s

    def __call__(self, item: Item) -> JsonObject | Response:
        self.asked[item.id] += 1
        time.sleep(self._pause_s)
        return right(item)


def command(folder: Path, suite: Suite, url: str, *words: str) -> list[str]:
    options = ["--base-url", url, "--model", "counted", "--out", str(folder / "eval.json"), "--concurrency", "4"]
    return [sys.executable, "-m", "eval.run", *suite.paths, *options, *words]


def run(*words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300)


def what_was_found(folder: Path) -> JsonObject:
    written: JsonObject = json.loads((folder / "eval.json").read_text())
    for result in written["candidate"]["results"]:
        del result["answer"]["latency_s"]
    written["candidate"]["scores"] = {k: v for k, v in written["candidate"]["scores"].items() if "latency" not in k}
    return {key: written[key] for key in ("suite", "sampling", "candidate")}


def test_a_killed_run_goes_on_without_repeating_an_answered_item(tmp_path: Path, suite: Suite) -> None:
    counted = Counted(pause_s=0.03)
    log = log_path(tmp_path / "eval.json")
    with planted_server(suite.items, {"counted": counted}) as url:
        process = subprocess.Popen(command(tmp_path, suite, url), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (log.exists() and log.read_bytes().count(b"\n") >= NUM_ITEMS // 4):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
        time.sleep(0.3)  # what was in flight arrives at the server
        num_written = log.read_bytes().count(b"\n")
        log.write_bytes(log.read_bytes() + b'{"key": "half')
        counted.asked.clear()
        second = run(tmp_path, suite, url)
        assert second.returncode == 0 and f"going on with {num_written} answers" in second.stdout
        assert NUM_ITEMS // 4 <= num_written < NUM_ITEMS
        assert len(counted.asked) == counted.asked.total() == NUM_ITEMS - num_written
        assert not log.exists()
        resumed = what_was_found(tmp_path)

        counted.asked.clear()
        assert run(tmp_path, suite, url).returncode == 0
        assert counted.asked.total() == NUM_ITEMS, "a run that has ended is not gone on with"
        assert what_was_found(tmp_path) == resumed


def test_only_what_got_no_answer_is_asked_again(tmp_path: Path, suite: Suite) -> None:
    broken = {item.id for item in suite.items[::10]}
    counted = Counted()
    is_mended = threading.Event()

    def flaky(item: Item) -> JsonObject | Response:
        is_broken = item.id in broken and not is_mended.is_set()
        return PLANTED["error_500"](item) if is_broken else counted(item)

    with planted_server(suite.items, {"counted": flaky}) as url:
        first = run(tmp_path, suite, url, "--max-retries", "0")
        assert first.returncode == 0 and f"{len(broken)} items not run" in first.stdout
        is_mended.set()
        counted.asked.clear()
        assert run(tmp_path, suite, url).returncode == 0
    assert set(counted.asked) == broken and not log_path(tmp_path / "eval.json").exists()


def test_other_settings_other_models_and_restart_ask_again(tmp_path: Path, suite: Suite) -> None:
    counted = Counted()
    log = log_path(tmp_path / "eval.json")
    one_broken = {"counted": lambda item: PLANTED["error_500"](item) if item is suite.items[0] else counted(item)}
    with planted_server(suite.items, one_broken) as url:
        for words in ([], ["--max-tokens", "7"], ["--seed", "1"], ["--restart"]):
            counted.asked.clear()
            run(tmp_path, suite, url, "--max-retries", "0", *words)
            assert counted.asked.total() == NUM_ITEMS - 1, words
    assert log.read_bytes().count(b"\n") == NUM_ITEMS - 1, "restart has begun a new log"


def test_the_key_is_all_that_was_sent_and_the_weights() -> None:
    tuned = Endpoint(base_url="http://a/v1", model="m", model_facts={"adapter_sha256": "1"})
    moved = tuned.model_copy(update={"base_url": "http://b/v1"})
    trained_again = tuned.model_copy(update={"model_facts": {"adapter_sha256": "2"}})
    weights = [weights_sha256(endpoint) for endpoint in (tuned, moved, trained_again)]
    assert weights[0] == weights[1] != weights[2]
    assert len({answer_key(weights[0], b"x"), answer_key(weights[0], b"y"), answer_key(weights[2], b"x")}) == 3


def test_each_answer_is_handed_out_once(tmp_path: Path) -> None:
    with open_answer_log(tmp_path / "eval.json") as log:
        log.add("k", REPLY)
    with open_answer_log(tmp_path / "eval.json") as log:
        assert (log.num_earlier, log.take("other"), log.take("k"), log.take("k")) == (1, None, REPLY, None)


def test_a_log_that_is_none_or_in_use_is_a_user_error(tmp_path: Path, suite: Suite) -> None:
    with (
        open_answer_log(tmp_path / "eval.json"),
        pytest.raises(UserError, match="another run is writing this file"),
        open_answer_log(tmp_path / "eval.json"),
    ):
        pass
    log_path(tmp_path / "eval.json").write_text("{}\n")
    refused = score(tmp_path, suite, "right")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "eval.answers.jsonl:1: is no answer of a run" in refused.stderr


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, suite: Suite) -> None:
    path = tmp_path / "eval.answers.jsonl"
    path.touch()
    with FileIO("/dev/full", "a") as full, planted_server(suite.items) as url:
        log = AnswerLog(Journal(path, full))
        with pytest.raises(UserError, match="cannot be written: No space left on device"):
            ask_all(Endpoint(base_url=url, model="right"), suite.items, "none", EvalSection(), log)
