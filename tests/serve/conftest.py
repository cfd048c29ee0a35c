"""One API without a worker for the tests that need none of their own."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.serve.api_server import ApiServer, api_server, write_settings


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(write_settings(tmp_path_factory.mktemp("api")), "--no-worker") as server:
        yield server


@pytest.fixture(scope="module")
def client(api: ApiServer) -> OpenAI:
    return api.client()
