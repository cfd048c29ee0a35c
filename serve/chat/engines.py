"""The vLLM processes of this API: started when a model is first asked, restarted when they died, least recently used
ones stopped to make room."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from data.user_error import UserError
from serve.api_settings import ApiSettings
from serve.chat.engine import Engine, end_orphans, start_engine
from serve.jobs.base_folder import base_recipe, ensure_base
from serve.server_process import ServerError
from serve.settings import ServeSection
from serve.transport.errors import ApiError

logger = logging.getLogger("calltune.api")
ROOM_LOOK_S = 0.2


class Target(NamedTuple):
    """A model to ask: the weights, and the adapter on them."""

    base_model: str
    base: str | None
    """Folder of the weights; None stands for the base model's own."""
    name: str
    """As vLLM and clients call it."""
    adapter: str | None


class Engines:
    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self._running: dict[str, Engine] = {}
        self._room = asyncio.Lock()
        self._starting: dict[str, asyncio.Lock] = {}
        for base, url in settings.engines.items():
            self._running[base] = Engine(url, "none")
        end_orphans()

    @asynccontextmanager
    async def engine(self, target: Target, http: aiohttp.ClientSession) -> AsyncIterator[Engine]:
        """An engine that serves the target, for the time of one request. Raises ApiError when there is none."""
        key = target.base or target.base_model
        engine = await self._engine(key, target)
        engine.num_open += 1  # with no await before it, so that nobody stops the engine in between
        engine.last_used = time.monotonic()
        try:
            if target.adapter:
                await self._load(engine, target, http)
            yield engine
        finally:
            engine.num_open -= 1

    async def unload(self, name: str, http: aiohttp.ClientSession) -> None:
        for engine in self._running.values():
            if engine.is_alive:
                await engine.unload(http, name)

    async def close(self) -> None:
        await asyncio.gather(*(self._stop(key) for key in list(self._running)))

    async def _engine(self, key: str, target: Target) -> Engine:
        async with self._starting.setdefault(key, asyncio.Lock()):
            engine = self._running.get(key)
            if engine is not None and not engine.is_alive:
                logger.error("vLLM died", extra={"model": target.base_model})
                await self._stop(key)
                engine = None
            if engine is None:
                async with self._room:  # two that start at once would both take the last place
                    await self._make_room()
                    engine = self._running[key] = await self._start(target)
            return engine

    async def _start(self, target: Target) -> Engine:
        logger.info("starting vLLM", extra={"model": target.base_model})
        try:
            return await asyncio.to_thread(self._started, target)
        except (UserError, ServerError) as error:
            logger.error("vLLM did not start", extra={"model": target.base_model, "reason": str(error)})
            raise unavailable(f"The model {target.name} cannot be served just now") from error

    def _started(self, target: Target) -> Engine:
        recipe = base_recipe(self.settings, target.base_model)
        folder = Path(target.base) if target.base else ensure_base(self.settings, target.base_model)
        return start_engine(
            folder, target.base_model, ServeSection.model_validate(recipe.serve or {}),
            lora_rank=self.settings.max_lora_rank, max_loras=self.settings.max_loras,
            devices=self.settings.serve_devices,
        )  # fmt: skip

    async def _make_room(self) -> None:
        """Stop the engine that was not used for longest; wait while all are answering."""
        while len(own := {key: each for key, each in self._running.items() if each.process}) >= (
            self.settings.max_engines
        ):
            if idle := [key for key, engine in own.items() if not engine.num_open]:
                await self._stop(min(idle, key=lambda key: own[key].last_used))
            else:
                await asyncio.sleep(ROOM_LOOK_S)

    async def _stop(self, key: str) -> None:
        engine = self._running.pop(key)
        if engine.process:
            await asyncio.to_thread(engine.process.stop)

    async def _load(self, engine: Engine, target: Target, http: aiohttp.ClientSession) -> None:
        assert target.adapter
        try:
            await engine.load(http, target.name, target.adapter)
        except (OSError, aiohttp.ClientError) as error:
            logger.error("adapter not loaded", extra={"model": target.name, "reason": str(error)[:300]})
            raise unavailable(f"The model {target.name} cannot be served just now") from error


def unavailable(message: str) -> ApiError:
    return ApiError(503, message, kind="server_error", code="model_unavailable", headers={"Retry-After": "2"})
