"""The status page in a real browser, with names that try to be markup."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.serve.api_server import BASE, ApiServer, ended, running_worker, upload

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
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
