"""What goes wrong around the API: clients that send too much or too slowly, a full disk, a database that is gone."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from tests.serve.api_server import BASE, ApiServer, api_server, ended, rows_file, running_worker, upload, write_settings
from tests.serve.postgres_server import PostgresServer

FORM = (
    b'--edge\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    b'--edge\r\ncontent-disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
)
FORM_TYPE = {"content-type": "multipart/form-data; boundary=edge"}
SHORT = {"n_epochs": 3, "batch_size": 5}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = write_settings(tmp_path_factory.mktemp("small"), max_file_bytes=100_000, receive_timeout_s=2)
    with api_server(settings, "--no-worker") as server:
        yield server


def test_an_upload_of_no_stated_length_ends_where_it_is_too_large(small: ApiServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield FORM
        for _ in range(100):
            yield b'{"a": "' + b"x" * 10_000 + b'"}\n'

    answer = httpx.post(f"{small.base_url}/files", content=pieces(), headers=FORM_TYPE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert small.client().files.list().data == []
    upload(small.client())


def test_clients_that_send_a_byte_at_a_time_hold_up_nobody(small: ApiServer) -> None:
    host, port = small.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    head = f"POST /v1/files HTTP/1.1\r\nhost: {host}\r\ncontent-type: {FORM_TYPE['content-type']}\r\n"
    slow = [socket.create_connection((host, int(port))) for _ in range(60)]
    try:
        for connection in slow:
            connection.sendall(f"{head}content-length: 50000\r\n\r\n".encode() + FORM)
        for _ in range(3):
            for connection in slow:
                connection.sendall(b"x")
            began = time.monotonic()
            upload(small.client(timeout=30))
            assert time.monotonic() - began < 10
        slow[0].settimeout(60)  # nothing more comes from it: it is sent away
        assert slow[0].recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        for connection in slow:
            connection.close()


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_left_behind(tmp_path: Path, little_disk: Path) -> None:
    settings = write_settings(tmp_path, storage=str(little_disk))
    with api_server(settings, "--no-worker") as server:
        client = server.client()
        file_id = upload(client)
        filler = little_disk / "filler"
        filler.write_bytes(b"x" * (shutil.disk_usage(little_disk).free - 8192))
        large = b'{"a": "' + b"x" * 50_000 + b'"}\n'
        with pytest.raises(openai.APIStatusError) as full:
            client.files.create(file=("large.jsonl", large), purpose="fine-tune")
        assert (full.value.status_code, full.value.code) == (507, "insufficient_storage")
        assert full.value.response.headers["x-should-retry"] == "false"
        filler.write_bytes(b"x" * (filler.stat().st_size + shutil.disk_usage(little_disk).free))
        with pytest.raises(openai.APIStatusError) as no_row:
            for _ in range(100):
                client.fine_tuning.jobs.create(training_file=file_id, model=BASE)
        assert (no_row.value.status_code, no_row.value.code) == (507, "insufficient_storage")
        assert client.files.content(file_id).read() == rows_file(10)[1]
        filler.unlink()
        assert client.files.create(file=("large.jsonl", large), purpose="fine-tune").status == "processed"
        assert client.fine_tuning.jobs.create(training_file=file_id, model=BASE).status == "validating_files"
        assert [path.name for path in (little_disk / "files").iterdir() if path.name.startswith(".")] == []


def test_a_database_that_goes_away_and_comes_back(tmp_path: Path, postgres: PostgresServer) -> None:
    settings = write_settings(tmp_path, database=postgres.new_database("away"))
    with api_server(settings, "--no-worker") as server:
        client: OpenAI = server.client()
        job_id = client.fine_tuning.jobs.create(training_file=upload(client), model=BASE, hyperparameters=SHORT).id
        with running_worker(server.settings, seconds=0.3):
            time.sleep(1)
            postgres.stop()
            with pytest.raises(openai.InternalServerError) as away:
                client.fine_tuning.jobs.retrieve(job_id)
            assert (away.value.status_code, away.value.code) == (503, "database_unavailable")
            assert httpx.get(server.base_url.removesuffix("/v1") + "/health").status_code == 503
            time.sleep(1)
            postgres.start()
            assert server.client(max_retries=5).fine_tuning.jobs.retrieve(job_id).id == job_id
            assert ended(client, job_id).status == "succeeded"
        told = [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=100)]
        assert len(told) == len(set(told)) and sum(message.startswith("Step ") for message in told) == 6
