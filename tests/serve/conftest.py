"""One API without a worker for the tests that need none of their own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import ApiServer, api_server, write_settings
from tests.serve.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(write_settings(tmp_path_factory.mktemp("api")), "--no-worker") as server:
        yield server


@pytest.fixture(scope="module")
def client(api: ApiServer) -> OpenAI:
    return api.client()


@pytest.fixture(scope="session")
def planted() -> Iterator[str]:
    """URL of a server of planted answers."""
    port = free_port("127.0.0.1")
    process = subprocess.Popen([sys.executable, "-m", "tests.serve.planted_vllm", str(port)], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{url}/health")
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    folder = Path("/tmp") / f"calltune-postgres-{os.getpid()}"  # a short path: a socket's has 107 characters at most
    try:
        server = PostgresServer(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
