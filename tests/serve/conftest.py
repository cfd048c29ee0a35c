"""One API without a worker for the tests that need none of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.serve.api_server import ApiServer, api_server, write_settings


@pytest.fixture(scope="module")
def api(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(write_settings(tmp_path_factory.mktemp("api"), smollm2), "--no-worker") as server:
        yield server


@pytest.fixture(scope="module")
def client(api: ApiServer) -> OpenAI:
    return api.client()
