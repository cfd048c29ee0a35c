"""Requests a minute of each key, counted in the database: several API processes allow no more than one would."""

import time
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from serve.storage.database import Database
from serve.storage.tables import RateBucket
from serve.transport.access import Caller
from serve.transport.errors import ApiError

HELD_S = 5.0


class _Held(NamedTuple):
    left: int
    until: float


class RateLimits:
    """A bucket that fills steadily and holds a minute's worth. A process takes a second's worth out of it at a time:
    a write for each request would cost more than most answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, _Held] = {}

    def take_held(self, caller: Caller) -> bool:
        """Without the database: a request of what this process took before, or of a key that has no limit."""
        if caller.requests_per_minute is None:
            return True
        held = self._held.get(caller.name)
        if held is None or not held.left or held.until < time.monotonic():
            return False
        self._held[caller.name] = held._replace(left=held.left - 1)
        return True

    def take(self, caller: Caller) -> None:
        """Blocks on the database. Raises ApiError with the seconds to wait."""
        size = caller.requests_per_minute
        assert size is not None
        try:
            wait_s = self._taken(caller.name, size)
        except IntegrityError:  # two processes made the key's row at once
            wait_s = self._taken(caller.name, size)
        if wait_s:
            raise ApiError(
                429, f"Rate limit of {size} requests a minute reached", kind="requests", code="rate_limit_exceeded",
                headers={"Retry-After": str(max(1, round(wait_s)))},
            )  # fmt: skip

    def _taken(self, name: str, size: int) -> float:
        """0, or how long it takes until there is one."""
        now = time.time()
        with self._database.write() as session:
            bucket = session.scalar(select(RateBucket).where(RateBucket.key == name).with_for_update())
            if bucket is None:
                bucket = RateBucket(key=name, left=float(size), at=now)
                session.add(bucket)
            left = min(float(size), bucket.left + max(0.0, now - bucket.at) * size / 60)
            if left < 1:
                return (1 - left) * 60 / size
            granted = min(int(left), max(1, size // 60))
            bucket.left, bucket.at = left - granted, max(now, bucket.at)
        self._held[name] = _Held(granted - 1, time.monotonic() + HELD_S)
        return 0.0
