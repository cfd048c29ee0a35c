"""Every operation of our own OpenAPI document, asked by schemathesis with what it makes up: no 5xx, and only answers
that the document tells of. About 90 s on two cores."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serve.api_server import BASE, ApiServer, api_server, write_settings

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "missing_required_header", "use_after_free", "ensure_resource_availability",
)  # fmt: skip
EXAMPLES = "25"


@pytest.fixture(scope="module")
def api(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(
        write_settings(tmp_path_factory.mktemp("schema"), engines={BASE: f"{planted}/v1"}), "--no-worker"
    ) as server:
        yield server


def operations(api: ApiServer) -> dict[str, str]:
    """Each operation's id with its method and path."""
    paths = httpx.get(api.base_url.replace("/v1", "/openapi.json")).json()["paths"]
    return {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


@pytest.mark.slow
def test_no_made_up_request_meets_a_5xx_or_an_answer_that_is_not_documented(api: ApiServer, tmp_path: Path) -> None:
    told = operations(api)
    command = [
        str(Path(sys.executable).with_name("st")), "run", api.base_url.replace("/v1", "/openapi.json"), "--no-color",
        "--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--seed", "1", "--workers", "1",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500,
        env=os.environ | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:]
    assert f"Tested: {len(told)}" in re.sub(r"\s+", " ", done.stdout), done.stdout
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 20 * len(told)  # type: ignore[index]
    assert "own fault" not in api.log


def test_the_document_holds_every_route_and_openais_errors(api: ApiServer) -> None:
    told = sorted(operations(api).values())
    assert len(told) == 38
    document = httpx.get(api.base_url.replace("/v1", "/openapi.json")).json()
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            (error,) = operation["responses"]["default"]["content"].values()
            assert error["schema"] == {"$ref": "#/components/schemas/Error"}
