"""A chat completion: to our own vLLM, or to the provider whose traffic is captured."""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from fastapi.responses import Response

from serve.api_settings import ApiSettings
from serve.chat.capture import Capture
from serve.chat.engine import Engine
from serve.chat.engines import Engines, Target, unavailable
from serve.chat.passing import Question, ResponseEvents, Store, StreamedAnswer, WholeEvents, ask, whole_answer
from serve.chat.request import ChatRequest, require_supported
from serve.chat.routing import prefix_of
from serve.chat.store_writer import StoreWriter
from serve.chat.targets import Targets
from serve.chat.watch import Watch
from serve.storage.database import Database
from serve.transport.errors import ApiError
from serve.transport.measures import Measures

logger = logging.getLogger("calltune.api")
ATTEMPTS = 2
"""At least; one more than there are replicas."""


class EngineFaultError(Exception):
    """A replica answered with an error of its own, and another one may do better."""


READ_BUFFER = 1 << 13
"""Bytes; of an answer that its client reads slowly, aiohttp holds up to twice as many. Its own 64 KiB are 128 MiB for
1,000 open streams."""


class Chat:
    """Made inside the event loop that it runs in; `close` ends its vLLM processes."""

    def __init__(self, settings: ApiSettings, database: Database, measures: Measures) -> None:
        self.settings, self.measures = settings, measures
        self.capture = Capture(settings.capture)
        self.targets = Targets(settings, database)
        self.writer = StoreWriter(database)
        # As many connections as there are requests: a limit here would be a queue that nobody sees.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self.http = aiohttp.ClientSession(
            connector=connector, read_bufsize=READ_BUFFER, auto_decompress=False, trust_env=False
        )
        self.engines = Engines(settings, self.http)
        self.watch = Watch(self.engines)

    async def close(self) -> None:
        await self.watch.close()
        await self.http.close()
        await self.engines.close()
        await asyncio.to_thread(self.writer.close)

    async def answer(self, request: ChatRequest, project: str, request_id: str, authorization: str | None) -> Response:
        """Raises ApiError for a model that nobody has and for one that cannot be reached."""
        target = await self.targets.find(project, request.model)
        store = self._store(request, project, request_id)
        if target is None:
            return await self._ask_upstream(request, store, authorization)
        require_supported(request)
        num_replicas = self.engines.num_replicas(target)
        prefix = prefix_of(target.name, request.body) if num_replicas > 1 else b""
        avoid: set[Engine] = set()
        for _ in range(max(ATTEMPTS, num_replicas + 1)):
            if (answer := await self._ask_replica(request, target, store, prefix, avoid)) is not None:
                return answer
        raise unavailable(f"The model {request.model} cannot be reached just now")

    async def _ask_replica(
        self, request: ChatRequest, target: Target, store: Store | None, prefix: bytes, avoid: set[Engine]
    ) -> Response | None:
        """None when it failed before the client got anything of an answer: another one may be asked."""
        async with AsyncExitStack() as stack:
            replica = await stack.enter_async_context(self.engines.replica(target, prefix, avoid))
            engine = replica.engine
            assert engine
            avoid.add(engine)
            url = f"{engine.base_url}/{request.api}"
            question = Question(url, request.for_engine(target.name), engine.headers, is_ours=True)
            try:
                await self.engines.load(engine, target)
                answer = await ask(self.http, question)
                if answer.status == 404 and target.adapter:  # a server that was started anew while nobody looked
                    answer.close()
                    await self.engines.load(engine, target, anew=True)
                    answer = await ask(self.http, question)
                if answer.status >= 500 and self.engines.others(target, avoid):
                    answer.close()
                    raise EngineFaultError(f"HTTP {answer.status}")
                return await self._pass_on(request, question, answer, store, stack)
            except (aiohttp.ClientError, TimeoutError, EngineFaultError) as error:
                reason = f"{type(error).__name__}: {error}"[:200]
                logger.error("vLLM gives no answer", extra={"model": target.name, "reason": reason})
                if replica.is_named or not isinstance(error, EngineFaultError):
                    await self.engines.note_failure(replica, engine, reason)
        return None

    async def _ask_upstream(self, request: ChatRequest, store: Store | None, authorization: str | None) -> Response:
        upstream = self.settings.upstream
        if upstream is None:
            message = f"The model {request.model!r} does not exist or you do not have access to it"
            raise ApiError(404, message, param="model", code="model_not_found")
        key = os.environ.get(upstream.api_key_variable or "")
        headers = {"Authorization": f"Bearer {key}" if key else authorization or "Bearer none"}
        url = f"{upstream.base_url.rstrip('/')}/{request.api}"
        question = Question(url, request.raw, headers, is_ours=False, timeout_s=upstream.timeout_s)
        try:
            async with AsyncExitStack() as stack:
                answer = await ask(self.http, question)
                return await self._pass_on(request, question, answer, store, stack)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.error("upstream cannot be reached", extra={"reason": repr(error)[:200]})
            raise unavailable("The upstream provider cannot be reached") from error

    async def _pass_on(
        self, request: ChatRequest, question: Question, answer: aiohttp.ClientResponse, store: Store | None,
        stack: AsyncExitStack,
    ) -> Response:  # fmt: skip
        if request.is_streamed and answer.status == 200:
            events = WholeEvents() if request.api == "chat/completions" else ResponseEvents()
            return StreamedAnswer(answer, store, stack.pop_all().aclose, events, is_ours=question.is_ours)
        async with answer:
            return await whole_answer(answer, question, store)

    def _store(self, request: ChatRequest, project: str, request_id: str) -> Store | None:
        if not self.capture.wants(request):
            return None
        if request.api == "responses":  # what is stored, listed and exported are chat completions
            self.measures.not_stored.labels("responses").inc()
            return None

        async def store(completion: dict[str, Any] | None) -> bool:
            if completion is None:
                self.measures.not_stored.labels("incomplete").inc()
                return False
            try:
                kept = self.capture.kept(request, completion, project, request_id)
            except Exception as error:  # a custom redactor's, or an answer of odd shape: it must reach the client still
                logger.error("a completion cannot be stored", extra={"reason": repr(error)[:200]})
                self.measures.not_stored.labels("error").inc()
                return False
            if kept is None:
                self.measures.not_stored.labels("redactor").inc()
                return False
            is_stored = await self.writer.save(kept)
            (self.measures.stored if is_stored else self.measures.not_stored.labels("database")).inc()
            return is_stored

        return store
