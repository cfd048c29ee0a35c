"""The vLLM replicas of this API: started when a model is first asked, again when they died, and the least recently used
ones stopped to make room; servers that run elsewhere are left out while they do not answer."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from data.user_error import UserError
from serve.api_settings import ApiSettings
from serve.chat.engine import Engine, EngineRefusesError, end_orphans, start_engine
from serve.chat.replica import Replica
from serve.chat.routing import by_preference, choose
from serve.jobs.base_folder import base_recipe, ensure_base
from serve.server_process import ServerError
from serve.settings import ServeSection
from serve.transport.errors import ApiError

logger = logging.getLogger("calltune.api")
ROOM_LOOK_S = 0.2
DEATH_S = 1.0
"""So long after its connections a process may take to end."""


class Target(NamedTuple):
    """A model to ask: the weights, and the adapter on them."""

    base_model: str
    base: str | None
    """Folder of the weights; None stands for the base model's own."""
    name: str
    """As vLLM and clients call it."""
    adapter: str | None


class Pool:
    """The replicas of one folder of weights."""

    def __init__(self, target: Target, replicas: list[Replica]) -> None:
        self.target, self.replicas = target, replicas
        self.last_asked = time.monotonic()


class Engines:
    """Made inside the event loop that it runs in."""

    def __init__(self, settings: ApiSettings, http: aiohttp.ClientSession) -> None:
        self.settings, self.http = settings, http
        self.pools: dict[str, Pool] = {}
        self._room = asyncio.Lock()
        key = os.environ.get(settings.engines_key_variable or "", "none")
        for base, urls in settings.engines.items():
            named = [Replica(url, Engine(url, key)) for url in ([urls] if isinstance(urls, str) else urls)]
            self.pools[base] = Pool(Target(base, None, base, None), named)
        end_orphans()

    @asynccontextmanager
    async def replica(self, target: Target, prefix: bytes, avoid: set[Engine]) -> AsyncIterator[Replica]:
        """One that serves the target, for the time of one request. Raises ApiError when there is none."""
        pool = self._pool(target)
        pool.last_asked = time.monotonic()
        replica = await self._choose(pool, prefix, avoid)
        engine = replica.engine
        assert engine
        engine.num_open += 1  # with no await before it, so that nobody stops the engine in between
        engine.last_used = time.monotonic()
        try:
            yield replica
        finally:
            engine.num_open -= 1

    async def load(self, engine: Engine, target: Target, *, anew: bool = False) -> None:
        """The target's adapter, if it has one; `anew` where the server says that it knows none of it."""
        if target.adapter is None:
            return
        if anew:
            engine.forget_adapters()
        try:
            await engine.load(self.http, target.name, target.adapter)
        except EngineRefusesError as error:
            logger.error("adapter not loaded", extra={"model": target.name, "reason": str(error)[:300]})
            raise unavailable(f"The model {target.name} cannot be served just now") from error

    def others(self, target: Target, avoid: set[Engine]) -> bool:
        """Is there another replica that could answer at once?"""
        return any(each.is_up and each.engine not in avoid for each in self._pool(target).replicas)

    def num_replicas(self, target: Target) -> int:
        return len(self._pool(target).replicas)

    async def note_failure(self, replica: Replica, engine: Engine, reason: str) -> None:
        """A request failed there: is it gone?"""
        if engine.process:
            deadline = time.monotonic() + DEATH_S
            while engine.is_alive and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        if replica.engine is engine and not replica.cause and not (engine.process and engine.is_alive):
            self.note_death(replica, reason)

    def look_at(self, replica: Replica) -> None:
        """Of one of our own that has died the death is noted, if nobody has done so."""
        if replica.engine and not replica.engine.is_alive and not replica.cause:
            self.note_death(replica, "")

    def note_death(self, replica: Replica, reason: str) -> None:
        process = replica.engine.process if replica.engine else None
        replica.fail(process.end_reason() if process else reason)
        if process:
            process.kill_rest()  # whether it is started again or not, nothing may hold its memory
        logger.error("vLLM is gone", extra={"replica": replica.name, "reason": replica.cause})

    async def unload(self, name: str) -> None:
        for engine in [each.engine for pool in self.pools.values() for each in pool.replicas]:
            if engine and engine.is_alive:
                await engine.unload(self.http, name)

    async def close(self) -> None:
        await asyncio.gather(*(self._stop(replica) for replica in self._own()))

    def told(self) -> list[dict[str, Any]]:
        """For operators."""
        return [{"model": pool.target.name} | each.told() for pool in self.pools.values() for each in pool.replicas]

    def has_room(self) -> bool:
        return len([each for each in self._own() if each.engine]) < self.settings.max_engines

    async def start(self, pool: Pool, replica: Replica) -> None:
        """Until it answers, which takes a minute. Raises ApiError."""
        async with replica.lock:
            if replica.is_up:
                return
            self.look_at(replica)  # a request may come before the watch
            if replica.wait_s:
                raise unavailable(f"The model {pool.target.name} cannot be served just now", replica.wait_s)
            async with self._room:  # two that start at once would both take the last place
                await self._stop(replica)
                await self._make_room()
                replica.is_starting = True
                try:
                    replica.come_up(await self._started(pool.target, replica))
                finally:
                    replica.is_starting = False

    def _pool(self, target: Target) -> Pool:
        key = target.base or target.base_model
        if key not in self.pools:
            # The adapters of one folder of weights share its replicas, which are known by its own name.
            named = Target(target.base_model, target.base, target.name if target.base else target.base_model, None)
            self.pools[key] = Pool(named, [Replica(str(number)) for number in range(self.settings.replicas)])
        return self.pools[key]

    async def _choose(self, pool: Pool, prefix: bytes, avoid: set[Engine]) -> Replica:
        if up := [each for each in pool.replicas if each.is_up and each.engine not in avoid]:
            return choose(up, prefix)
        preferred = by_preference(pool.replicas, prefix)
        if pool.replicas[0].is_named:  # all are out: asking one anyway is how it is found to be back
            return next((each for each in preferred if each.engine not in avoid), preferred[0])
        replica = min(preferred, key=lambda each: each.wait_s)
        await self.start(pool, replica)
        return replica

    async def _started(self, target: Target, replica: Replica) -> Engine:
        logger.info("starting vLLM", extra={"model": target.name, "replica": replica.name})
        try:
            return await asyncio.to_thread(self._start_engine, target)
        except (UserError, ServerError) as error:
            replica.fail(str(error).partition("; log: ")[0])
            logger.error("vLLM did not start", extra={"model": target.name, "reason": str(error)})
            raise unavailable(f"The model {target.name} cannot be served just now", replica.wait_s) from error

    def _start_engine(self, target: Target) -> Engine:
        recipe = base_recipe(self.settings, target.base_model)
        folder = Path(target.base) if target.base else ensure_base(self.settings, target.base_model)
        return start_engine(
            folder, target.base_model, ServeSection.model_validate(recipe.serve or {}),
            lora_rank=self.settings.max_lora_rank, max_loras=self.settings.max_loras, devices=self._free_devices(),
        )  # fmt: skip

    def _free_devices(self) -> str | None:
        """Of the lists in the settings, the one that the fewest engines compute on."""
        given = self.settings.serve_devices
        if not isinstance(given, list):
            return given
        taken = [each.engine.devices for each in self._own() if each.engine]
        return min(given, key=taken.count)

    def _own(self) -> list[Replica]:
        return [each for pool in self.pools.values() for each in pool.replicas if not each.is_named]

    async def _make_room(self) -> None:
        """Stop the engine that was not used for longest; wait while all are answering."""
        while not self.has_room():
            idle = [(each.engine.last_used, each) for each in self._own() if each.engine and not each.engine.num_open]
            if idle:
                await self._stop(min(idle, key=lambda pair: pair[0])[1])
            else:
                await asyncio.sleep(ROOM_LOOK_S)

    async def _stop(self, replica: Replica) -> None:
        engine, replica.engine = replica.engine, None
        if engine and engine.process:
            await asyncio.to_thread(engine.process.stop)


def unavailable(message: str, wait_s: float = 2.0) -> ApiError:
    headers = {"Retry-After": str(max(1, round(wait_s)))}
    return ApiError(503, message, kind="server_error", code="model_unavailable", headers=headers)
