"""Events to the webhook of the settings, tried again until they are taken."""

import json
import logging
import time

import httpx
from sqlalchemy import select

from serve.api_settings import WebhookSection
from serve.storage.database import Database
from serve.storage.tables import WebhookEvent
from serve.webhooks.outbox import body_of, take_due
from serve.webhooks.signing import read_secret, signature

logger = logging.getLogger("calltune.worker")
ANSWER_S = 10.0


class WebhookSender:
    def __init__(self, section: WebhookSection, database: Database) -> None:
        """Raises UserError where the secret is missing or is none."""
        self._url, self._database = section.url, database
        self._secret = read_secret(section.secret_variable)
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
