"""The client libraries themselves, each in its own Python, against a real endpoint that plays the rows' assistant."""

import json
import os
from pathlib import Path

import pytest

from data.task_api.scenarios import synthesize
from tests.clients.matrix import SCRIPTS, markdown, run_client
from tests.eval.rows import write_rows
from tests.eval.scripted_server import MODEL, Script, scripted_server

PYTHON = Path(os.environ.get("CALLTUNE_CLIENTS", Path(__file__).parents[2] / ".venv-clients" / "bin" / "python"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_client_library_ends_every_row_in_the_right_state(tmp_path: Path, script: str) -> None:
    if not PYTHON.exists():
        pytest.skip(f"no Python with the client libraries at {PYTHON}: `make clients` sets it up")
    # Recovery rows are left out: a library that checks types itself never makes the wrong call that they begin with.
    rows = [row for row in synthesize(1, 12, 3, "basic").test if not any("weight" in m for m in row["messages"])][:6]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    with scripted_server(Script(rows)) as url:
        client = run_client(PYTHON, script, [url, MODEL, str(path), "0"], 300)
    assert client.fault == ""
    assert len(client.ways) >= 4 and [way["right"] for way in client.ways] == [6] * len(client.ways), json.dumps(client)
    assert all(feature["works"] for feature in client.features), json.dumps(client.features)
    assert f"| {client.library} {client.version} | own schema | 6 of 6 |" in markdown([client])
