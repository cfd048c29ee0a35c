"""Fixtures that several rooms use; what is slow to make is made once a session."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.models import llama3_folder, smollm2_folder

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
STARTUP_TIMEOUT_S = 300

# Nothing in the tests may reach for a hub: what they need is made here.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


class TinyServer(NamedTuple):
    """A real vLLM, started by `serve.engine`, serving a random network with SmolLM2's tokenizer."""

    base_url: str
    model: str
    api_key: str
    process_ids: list[int]
    """The program and everything it started."""


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served folder with SmolLM2's tokenizer, the chatml template and tiny random weights. Not to be written to."""
    return smollm2_folder(tmp_path_factory.mktemp("smollm2") / "merged", with_weights=True)


@pytest.fixture(scope="session")
def llama3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with Meta's Llama-3 tokenizer and the llama3 template, without weights."""
    return llama3_folder(tmp_path_factory.mktemp("llama3") / "merged")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets, which are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets do not lie beside this checkout (../shared/data)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_server(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """Starts in about 40 s on two cores, ends at the end of the session, and must then leave nothing behind."""
    key = "tiny-key"
    command = [sys.executable, "-m", "serve.engine", str(smollm2), "--port", "0", "--max-model-len", "2048"]
    out = tmp_path_factory.mktemp("server") / "engine.out"
    with out.open("w") as stdout:
        engine = subprocess.Popen(
            [*command, "--log", str(out.with_name("vllm.log"))], cwd=ROOT, stdout=stdout, stderr=stdout,
            env=os.environ | {"CALLTUNE_API_KEY": key, "COLUMNS": "200"},
        )  # fmt: skip
    try:
        server = _announced(engine, out, key)
        yield server
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(60) == 0, out.read_text()
        assert [pid for pid in server.process_ids if is_running(pid)] == []
    finally:
        engine.kill()


def _announced(engine: subprocess.Popen[bytes], out: Path, key: str) -> TinyServer:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while not (found := re.search(r"base_url (\S+)\s+model (\S+)", out.read_text())):
        assert engine.poll() is None and time.monotonic() < deadline, out.read_text()
        time.sleep(0.5)
    return TinyServer(found[1], found[2], key, [engine.pid, *descendants(engine.pid)])


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, as Linux lists them."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [child for direct in map(int, text.split()) for child in (direct, *descendants(direct))]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def llama3_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meta's Llama-3 tokenizer on tiny random weights."""
    return llama3_folder(tmp_path_factory.mktemp("llama3-weights") / "merged", with_weights=True)
