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
from serve.chat.engines import Engines, Target, unavailable
from serve.chat.passing import Question, Store, StreamedAnswer, ask, whole_answer
from serve.chat.request import ChatRequest, require_supported
from serve.chat.store_writer import StoreWriter
from serve.chat.targets import Targets
from serve.storage.database import Database
from serve.transport.errors import ApiError
from serve.transport.measures import Measures

logger = logging.getLogger("calltune.api")
ATTEMPTS = 2


class Chat:
    """Made inside the event loop that it runs in; `close` ends its vLLM processes."""

    def __init__(self, settings: ApiSettings, database: Database, measures: Measures) -> None:
        self.settings, self.measures = settings, measures
        self.capture = Capture(settings.capture)
        self.targets = Targets(settings, database)
        self.engines = Engines(settings)
        self.writer = StoreWriter(database)
        # As many connections as there are requests: a limit here would be a queue that nobody sees.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self.http = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False)

    async def close(self) -> None:
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
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._ask_engine(request, target, store)
            except (aiohttp.ClientError, TimeoutError) as error:  # nothing was answered yet: it may have just died
                logger.error("vLLM cannot be reached", extra={"model": target.name, "reason": repr(error)[:200]})
                if attempt == ATTEMPTS:
                    raise unavailable(f"The model {request.model} cannot be reached just now") from error
        raise AssertionError("unreachable")

    async def _ask_engine(self, request: ChatRequest, target: Target, store: Store | None) -> Response:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(self.engines.engine(target, self.http))
            url = f"{engine.base_url}/chat/completions"
            question = Question(url, request.for_engine(target.name), engine.headers, is_ours=True)
            return await self._pass_on(request, question, store, stack)

    async def _ask_upstream(self, request: ChatRequest, store: Store | None, authorization: str | None) -> Response:
        upstream = self.settings.upstream
        if upstream is None:
            message = f"The model {request.model!r} does not exist or you do not have access to it"
            raise ApiError(404, message, param="model", code="model_not_found")
        key = os.environ.get(upstream.api_key_variable or "")
        headers = {"Authorization": f"Bearer {key}" if key else authorization or "Bearer none"}
        url = f"{upstream.base_url.rstrip('/')}/chat/completions"
        question = Question(url, request.raw, headers, is_ours=False, timeout_s=upstream.timeout_s)
        try:
            async with AsyncExitStack() as stack:
                return await self._pass_on(request, question, store, stack)
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.error("upstream cannot be reached", extra={"reason": repr(error)[:200]})
            raise unavailable("The upstream provider cannot be reached") from error

    async def _pass_on(
        self, request: ChatRequest, question: Question, store: Store | None, stack: AsyncExitStack
    ) -> Response:
        answer = await ask(self.http, question)
        if request.is_streamed and answer.status == 200:
            return StreamedAnswer(answer, store, stack.pop_all().aclose)
        async with answer:
            return await whole_answer(answer, question, store)

    def _store(self, request: ChatRequest, project: str, request_id: str) -> Store | None:
        if not self.capture.wants(request):
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
