"""One place of a model's replicas: a vLLM that runs elsewhere, or a process of ours that is started when needed."""

import asyncio
import time
from typing import Any

from serve.chat.engine import Engine

STABLE_S = 60.0
"""A vLLM that lived for so long did not die of its start."""
LONGEST_WAIT_S = 60.0


class Replica:
    def __init__(self, name: str, engine: Engine | None = None) -> None:
        """With an `engine` a named server, which is neither started nor stopped here."""
        self.name, self.engine = name, engine
        self.is_named = engine is not None
        self.cause = ""
        """Why it is left out, in words; empty while it is not."""
        self.has_died = False
        """It answered once, and ended by itself."""
        self.is_starting = False
        self.lock = asyncio.Lock()
        self._num_failures = 0
        self._retry_at = 0.0

    @property
    def is_up(self) -> bool:
        return self.engine is not None and self.engine.is_alive and not self.cause

    @property
    def num_open(self) -> int:
        return self.engine.num_open if self.engine else 0

    @property
    def wait_s(self) -> float:
        """Until it may be started again."""
        return max(0.0, self._retry_at - time.monotonic())

    def fail(self, cause: str) -> None:
        """One that fails once is begun again at once; one that fails again and again, ever later."""
        lived = time.monotonic() - self.engine.started_at if self.engine else 0.0
        self._num_failures = 1 if lived > STABLE_S else self._num_failures + 1
        self.cause = cause
        self.has_died = self.has_died or self.engine is not None
        wait = 0.0 if self.has_died and self._num_failures == 1 else 2.0 ** min(self._num_failures, 10)
        self._retry_at = time.monotonic() + min(wait, LONGEST_WAIT_S)
        if self.engine:
            self.engine.forget_adapters()

    def come_up(self, engine: Engine) -> None:
        self.engine, self.cause, self.has_died = engine, "", False

    def told(self) -> dict[str, Any]:
        """For operators."""
        state = "up" if self.is_up else "down" if self.cause else "not started"
        return {"replica": self.name, "state": "starting" if self.is_starting else state, "cause": self.cause or None}
