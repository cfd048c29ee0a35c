"""Conformance test 12: the happy path with OpenAI's SDK for Node, installed once at the version that tests/node pins.

The contract also asks for a typed client, Go's or Java's: not tested. That every field is there is held by
test_api_schema and test_api_security, against our own document.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.serve.api_server import BASE, ApiServer, api_server, rows_file, running_worker, write_settings
from tests.serve.planted_vllm import ARGUMENTS

NODE = ROOT / "tests" / "node"


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = write_settings(tmp_path_factory.mktemp("languages"), engines={BASE: f"{planted}/v1"})
    with api_server(settings, "--no-worker") as server:
        yield server


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def node() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("Node and npm are not installed")
    if not (NODE / "node_modules" / "openai").is_dir():
        run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], NODE)
    return node


@pytest.mark.contract(12)
def test_the_happy_path_in_node(api: ApiServer, node: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(rows_file(10)[1])
    with running_worker(api.settings):
        told = json.loads(run([node, "happy_path.mjs", api.base_url, str(rows)], NODE))
    assert told["first"] == "validating_files" and told["model"].startswith("ft:org/tiny:local:")
    assert told["events"][0] == "The job has successfully completed" and len(told["events"]) == len(set(told["events"]))
    assert sum(message.startswith("Step ") for message in told["events"]) == 30
    assert (told["checkpoints"], told["results"]) == ([30, 20, 10], 31)
    assert told["call"] == {"name": "get_weather", "arguments": ARGUMENTS}
    assert told["streamed"] == ARGUMENTS
    assert told["stored"] == told["ids"] and told["messages"] == ["call"]
    assert set(told["deleted"]) == {True} and told["model_deleted"] is True and told["file_deleted"] is True
    assert (told["helper"], told["label"]) == (ARGUMENTS, "good")
