"""Events to the webhook of the settings, signed as OpenAI signs them (standardwebhooks.com, version 1)."""

import base64
import hashlib
import hmac
import json
import logging
import os
import time

import httpx
from sqlalchemy import select

from data.user_error import UserError
from serve.api_settings import WebhookSection
from serve.storage.database import Database
from serve.storage.tables import WebhookEvent
from serve.webhooks.outbox import body_of, take_due

logger = logging.getLogger("calltune.worker")
ANSWER_S = 10.0


class WebhookSender:
    def __init__(self, section: WebhookSection, database: Database) -> None:
        """Raises UserError where the secret is missing or is none."""
        self._url, self._database = section.url, database
        self._secret = _secret(section.secret_variable)
        self._http = httpx.Client(timeout=ANSWER_S, trust_env=False)

    def send_one(self) -> bool:
        """False when no event's turn has come. One that is not taken (any answer but 2xx) comes again, later each time,
        for three days."""
        with self._database.read() as session:  # a look costs no lock
            if session.scalar(select(WebhookEvent.seq).where(WebhookEvent.next_attempt_at <= time.time())) is None:
                return False
        with self._database.write() as session:
            event = take_due(session, time.time())
        if event is None:
            return False
        if self._is_taken(event):
            with self._database.write() as session:
                session.delete(session.get_one(WebhookEvent, event.seq))
        return True

    def _is_taken(self, event: WebhookEvent) -> bool:
        body = json.dumps(body_of(event)).encode()
        headers = {"content-type": "application/json", **signature(self._secret, event.id, int(time.time()), body)}
        try:
            status = str(self._http.post(self._url, content=body, headers=headers).status_code)
        except httpx.HTTPError as error:
            status = repr(error)[:200]
        if not status.startswith("2"):
            logger.warning("webhook not taken", extra={"event": event.id, "attempt": event.attempts, "answer": status})
        return status.startswith("2")


def signature(secret: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    signed = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": event_id, "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }  # fmt: skip


def _secret(variable: str) -> bytes:
    """`whsec_` and base64, as OpenAI gives it out; anything else is taken byte for byte, as its SDK does."""
    text = os.environ.get(variable, "")
    if not text:
        raise UserError(f"the environment has no {variable}", where="webhook.secret_variable", fix="set the secret")
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        fix = "write whsec_ and base64"
        raise UserError(f"{variable} is no base64 after whsec_", where="webhook.secret_variable", fix=fix) from error
