"""What is told of a job, each thing once: a resumed job comes by the same places again."""

import time
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.storage.ids import new_id
from serve.storage.tables import Event

Level = Literal["info", "warn", "error"]


def tell(
    session: Session, job_id: str, key: str, message: str, *, level: Level = "info", data: dict[str, Any] | None = None,
    is_metrics: bool = False,
) -> None:  # fmt: skip
    """Add an event, unless one of that key is there."""
    if session.scalar(select(Event.seq).where(Event.job_id == job_id, Event.key == key)) is not None:
        return
    session.add(
        Event(
            id=new_id("ftevent-"), job_id=job_id, key=key, created_at=int(time.time()), level=level, message=message,
            type="metrics" if is_metrics else "message", data=data,
        )
    )  # fmt: skip
    session.flush()
