"""data.convert on a data set of the hub: here a folder laid out like its repository, which is read the same way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.layout_records import PING_CALL, said, sharegpt
from tests.models import write_rows

TOOLS = json.dumps([{"name": "ping", "parameters": {"type": "object", "properties": {"host": {"type": "string"}}}}])
CARD = """---
configs:
- config_name: calls
  data_files:
  - {split: train, path: calls/train.jsonl}
  - {split: test, path: calls/test.jsonl}
- config_name: other
  data_files: other.jsonl
---
"""


def calling(host: str) -> dict[str, object]:
    call = PING_CALL.replace('"a"', f'"{host}"')
    return sharegpt(said("human", f"Ping {host}"), said("function_call", call)) | {"tools": TOOLS}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "calls").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    write_rows(folder / "calls/train.jsonl", [calling("a"), calling("b"), {**calling("c"), "tools": None}])
    write_rows(folder / "calls/test.jsonl", [calling("d")])
    write_rows(folder / "other.jsonl", [{"text": "Hi"}])
    return folder


def convert(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200",
        "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "data.convert", "--out", "rows.jsonl", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, env=environment)


def test_every_split_is_read_and_told_by_its_name(repository: Path, tmp_path: Path) -> None:
    done = convert(tmp_path, "--dataset", "./repository", "--config", "calls", "--json", "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    hosts = [json.loads(line)["messages"][0]["content"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert hosts == ["Ping a", "Ping b", "Ping d"]
    assert json.loads((tmp_path / "report.json").read_text())["files"] == [
        {"path": "./repository:calls:train", "layout": "sharegpt", "kept": 2, "refused": 1, "read": 3},
        {"path": "./repository:calls:test", "layout": "sharegpt", "kept": 1, "refused": 0, "read": 1},
    ]
    refused = [json.loads(line) for line in (tmp_path / "rows.refused.jsonl").read_text().splitlines()]
    assert [(one["where"], one["cause"]) for one in refused] == [("./repository:calls:train:3", "missing_tools")]
    before = [(tmp_path / name).read_bytes() for name in ("rows.jsonl", "rows.refused.jsonl")]
    assert convert(tmp_path, "--dataset", "./repository", "--config", "calls").returncode == 0
    assert [(tmp_path / name).read_bytes() for name in ("rows.jsonl", "rows.refused.jsonl")] == before


def test_one_split(repository: Path, tmp_path: Path) -> None:
    assert convert(tmp_path, "--dataset", "./repository", "--config", "calls", "--split", "test").returncode == 0
    assert (tmp_path / "rows.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "org/name"], "--dataset org/name: cannot be loaded: Couldn't reach 'org/name' on the Hub"),
        (["--dataset", "./repository", "--config", "none"], "--dataset ./repository: cannot be loaded: BuilderConfig"),
        (["--dataset", "./repository", "--config", "calls", "--split", "none"],
         "--dataset ./repository: cannot be loaded: Unknown split"),
        (["--dataset", "./repository"], "--dataset ./repository: cannot be loaded: Config name is missing"),
        (["--dataset", "./repository", "--config", "other"], "./repository:other:train: no layout fits"),
        ([], "command line: nothing to convert (fix: name files, or --dataset ORG/NAME)"),
        (["a.jsonl", "--split", "train"], "command line: --config, --split and --revision are of a data set"),
    ],
)  # fmt: skip
def test_a_users_fault_is_one_line(repository: Path, tmp_path: Path, words: list[str], message: str) -> None:
    failed = convert(tmp_path, *words)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith(f"error: {message}") and failed.stderr.count("\n") == 1, failed.stderr
    assert not (tmp_path / "rows.jsonl").exists()
