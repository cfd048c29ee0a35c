"""Looks after the replicas all the time: which died, which answer again, which are still to be started."""

import asyncio
import contextlib
import logging
import time

import aiohttp

from serve.chat.engines import Engines, Pool
from serve.chat.replica import Replica
from serve.transport.errors import ApiError

logger = logging.getLogger("calltune.api")
LOOK_S = 1.0
TIMEOUT = aiohttp.ClientTimeout(total=5)
MISSES = 3
"""So many looks in a row without an answer, and a named server is left out."""
WANTED_S = 600.0
"""What died is started again unasked while somebody has asked for it within this time."""


class Watch:
    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self._misses: dict[Replica, int] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        tasks = [self._task, *self._starting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for pool in list(self.engines.pools.values()):
                for replica in pool.replicas:
                    if not replica.is_named:
                        self._look_after(pool, replica)
            named = [each for pool in self.engines.pools.values() for each in pool.replicas if each.is_named]
            await asyncio.gather(*(self._probe(replica) for replica in named))

    def _look_after(self, pool: Pool, replica: Replica) -> None:
        """One of our own: has it died, and is it to be started?"""
        self.engines.look_at(replica)
        is_wanted = replica.has_died or (not replica.cause and _is_served(pool))
        is_idle = not replica.is_up and not replica.lock.locked() and not replica.wait_s and not self._starting
        # It takes its own place again, or a free one: what is in use elsewhere does not make room for a second copy.
        has_room = replica.engine is not None or self.engines.has_room()
        if is_wanted and is_idle and has_room and time.monotonic() - pool.last_asked < WANTED_S:
            task = asyncio.create_task(self._start(pool, replica))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self, pool: Pool, replica: Replica) -> None:
        with contextlib.suppress(ApiError):  # told in the log, and tried again later
            await self.engines.start(pool, replica)

    async def _probe(self, replica: Replica) -> None:
        assert replica.engine
        reason = ""
        try:
            url = f"{replica.engine.base_url.removesuffix('/v1')}/health"
            async with self.engines.http.get(url, timeout=TIMEOUT) as answer:
                if answer.status >= 500:
                    reason = f"/health answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = f"/health does not answer: {type(error).__name__}: {error}"[:200]
        self._misses[replica] = self._misses.get(replica, 0) + 1 if reason else 0
        if not reason and replica.cause:
            logger.info("a vLLM answers again", extra={"replica": replica.name})
            replica.come_up(replica.engine)
        elif self._misses[replica] >= MISSES and not replica.cause:
            self.engines.note_death(replica, reason)


def _is_served(pool: Pool) -> bool:
    return any(each.is_up for each in pool.replicas)
