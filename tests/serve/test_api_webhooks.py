"""Webhooks: each end of a job is told to a real receiver, checked with OpenAI's own SDK."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from data.user_error import UserError
from serve.api_settings import WebhookSection
from serve.storage.database import Database
from serve.webhooks.sending import WebhookSender
from tests.serve.api_server import BASE, api_server, ended, running_worker, upload, write_settings

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of a test secret").decode()
SHORT = {"n_epochs": 1, "batch_size": 10}


class Receiver(ThreadingHTTPServer):
    """Keeps what comes; the first of all is answered with 500."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[bytes, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((body, dict(self.headers)))
        self.send_response(500 if len(self.server.got) == 1 else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_ends_of_jobs_are_told_signed_and_again_where_they_were_not_taken(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    settings = write_settings(tmp_path, webhook={"url": url, "secret_variable": "HOOK_SECRET"})
    with api_server(settings, "--no-worker") as server:
        client: OpenAI = server.client()
        make = client.fine_tuning.jobs.create
        good = make(training_file=upload(client), model=BASE, hyperparameters=SHORT).id
        few = make(training_file=upload(client, 3), model=BASE).id
        gone = client.fine_tuning.jobs.cancel(make(training_file=upload(client), model=BASE).id).id
        with running_worker(server.settings):
            ended(client, good), ended(client, few)
            deadline = time.monotonic() + 60
            while len(receiver.got) < 4:
                assert time.monotonic() < deadline, receiver.got
                time.sleep(0.1)
    told = [client.webhooks.unwrap(body.decode(), headers, secret=SECRET) for body, headers in receiver.got]
    assert {(event.type, event.data.id) for event in told} == {  # type: ignore[union-attr]
        ("fine_tuning.job.succeeded", good), ("fine_tuning.job.failed", few), ("fine_tuning.job.cancelled", gone),
    }  # fmt: skip
    assert [event.id for event in told].count(told[0].id) == 2  # the one that was answered with 500
    assert len({event.id for event in told}) == 3
    body, headers = receiver.got[-1]
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.unwrap(body.decode().replace("ftjob-", "ftjob_"), headers, secret=SECRET)
    assert json.loads(body)["object"] == "event"


def test_a_webhook_without_its_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = WebhookSection(url="http://127.0.0.1:1/", secret_variable="HOOK_SECRET")
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with pytest.raises(UserError, match="has no HOOK_SECRET"):
        WebhookSender(section, database)
    monkeypatch.setenv("HOOK_SECRET", "whsec_%%")
    with pytest.raises(UserError, match="no base64"):
        WebhookSender(section, database)
