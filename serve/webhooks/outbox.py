"""What a webhook is to be told, written down in the transaction in which it happened: no kill loses it."""

import time
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.storage.ids import new_id
from serve.storage.tables import WebhookEvent

EventType = Literal[
    "fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled", "eval.run.succeeded",
    "eval.run.failed", "eval.run.canceled",
]  # fmt: skip
GIVE_UP_S = 72 * 3600
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 3600.0


def announce(session: Session, project: str, kind: EventType, object_id: str) -> None:
    now = int(time.time())
    session.add(
        WebhookEvent(
            id=new_id("evt_"), project=project, created_at=now, type=kind, object_id=object_id, attempts=0,
            next_attempt_at=float(now),
        )
    )  # fmt: skip


def take_due(session: Session, now: float) -> WebhookEvent | None:
    """The oldest event whose turn it is, put off at once: another worker, or a restart, must not send it meanwhile."""
    due = select(WebhookEvent).where(WebhookEvent.next_attempt_at <= now, WebhookEvent.created_at > now - GIVE_UP_S)
    event = session.scalar(due.order_by(WebhookEvent.seq).limit(1).with_for_update(skip_locked=True))
    if event is not None:
        event.next_attempt_at = now + min(FIRST_DELAY_S * 2**event.attempts, MAX_DELAY_S)
        event.attempts += 1
    return event


def body_of(event: WebhookEvent) -> dict[str, Any]:
    return {
        "id": event.id, "object": "event", "created_at": event.created_at, "type": event.type,
        "data": {"id": event.object_id},
    }  # fmt: skip
