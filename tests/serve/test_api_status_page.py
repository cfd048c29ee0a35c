"""The status page in a real browser, with names that try to be markup."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from serve.storage.database import Database
from serve.transport.access import new_key
from tests.serve.api_server import BASE, ApiServer, api_server, ended, running_worker, upload, write_settings
from tests.serve.browser import Browser
from tests.serve.planted_vllm import TEXT
from tests.serve.test_api_evals import CONFIG, WORDS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VERDICT = {"outcome": "FAIL", "conditions": [{"name": "exact", "outcome": "FAIL", "reason": "12 %"}]}
HOSTILE = "<img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no browser is installed")
    return found


def test_the_page_shows_jobs_curves_and_models(api: ApiServer, client: OpenAI, browser: str, tmp_path: Path) -> None:
    jobs = client.fine_tuning.jobs
    done = jobs.create(training_file=upload(client), model=BASE, suffix=HOSTILE, hyperparameters={"n_epochs": 4})
    with running_worker(api.settings):
        model = ended(client, done.id).fine_tuned_model
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=4000", "--dump-dom", api.base_url.removesuffix("v1"),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    escaped = model.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<td>{done.id}</td>" in shown and escaped in shown and HOSTILE not in shown
    assert "<title>calltune</title>" in shown
    row = shown.split(f"<td>{done.id}</td>")[1].split("</tr>")[0]
    assert '<td class="succeeded">succeeded</td><td>40/40</td>' in row
    points = row.split('points="')[1].split('"')[0].split()
    assert len(points) == 40 and points[0].endswith(",2.0")  # the loss of step 1 is the largest


def test_a_person_enters_a_key_and_sees_a_curve_grow_and_reports(planted: str, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, engines={BASE: f"{planted}/v1"})
    key = new_key(Database(f"sqlite:///{tmp_path / 'storage' / 'api.db'}"), "person", "default", None)
    browser = Browser(tmp_path)
    try:
        with api_server(settings, "--no-worker") as server:
            client = server.client(key)
            browser.open(server.base_url.removesuffix("v1"))
            browser.until("return document.getElementById('fault').textContent", "An API key is needed")
            assert browser.run("return document.querySelectorAll('tbody tr').length") == 0
            job = client.fine_tuning.jobs.create(
                training_file=upload(client), validation_file=upload(client), model=BASE,
                hyperparameters={"n_epochs": 4, "batch_size": 1},
            )  # fmt: skip
            made = client.evals.create(name=HOSTILE, data_source_config=CONFIG, testing_criteria=[WORDS])
            rows = [{"item": {}, "sample": {"output_text": text}} for text in (TEXT, "No.")]
            source: Any = {"type": "jsonl", "source": {"type": "file_content", "content": rows}}
            client.evals.runs.create(made.id, name="nightly", data_source=source)
            browser.write("#key", key + "\n")
            browser.until("return document.getElementById('fault').textContent", "")
            points = "return (document.querySelector('#jobs polyline')?.getAttribute('points') || '').split(' ').length"
            with running_worker(server.settings, seconds=0.4, verdict=VERDICT):
                browser.until(f"{points} > 3", wanted=True)
                seen = browser.run(points)
                browser.until(f"{points} > {seen}", wanted=True)  # nobody has reloaded the page
                ended(client, job.id)
            browser.until("return document.querySelector('#jobs tr').cells[1].textContent", "succeeded")
            assert browser.run("return document.querySelector('#jobs tr').cells[5].textContent") == "FAIL; exact: 12 %"
            shown = browser.run("return [...document.querySelector('#evals tr').cells].map((each) => each.textContent)")
            assert shown == [HOSTILE, "nightly", "", "completed", "1 of 2", "words: 1 of 2"]
            assert browser.run("return document.title") == "calltune"
            assert key not in browser.run("return document.documentElement.outerHTML")
            browser.open(server.base_url.removesuffix("v1"))  # again: the tab remembers the key
            browser.until("return document.querySelectorAll('#jobs tr').length", 1)
    finally:
        browser.close()


def test_the_page_runs_only_its_own_script(api: ApiServer) -> None:
    answer = httpx.get(api.base_url.removesuffix("v1"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy and "unsafe" not in policy


def test_health_and_measures(api: ApiServer) -> None:
    root = api.base_url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").json() == {"status": "ok", "engines": []}
    httpx.get(f"{api.base_url}/files/none")
    measures = httpx.get(f"{root}/metrics").text
    assert 'calltune_requests_total{method="GET",route="/v1/files/{file_id}",status="404"}' in measures
    assert 'calltune_jobs{status="queued"}' in measures
