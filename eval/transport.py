"""One request to an endpoint over HTTP: retried as agents' SDKs do, timed, and never an exception.

aiohttp, and not the OpenAI SDK: that takes over 2 ms of a core for each call, ten times as much, so that one process
could not keep an endpoint busy. What it retries and how long it waits are the SDK's own rules (its `_base_client`).
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from eval.reply import NotRun

_RETRIED = (408, 409, 429)
"""And every 5xx."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.5, 8.0, 60.0


class Body(NamedTuple):
    content: bytes
    latency_s: float
    """Of this attempt: from sending the request to the end of the response."""


class Connection:
    """An endpoint's chat completions. `async with connect(...)` makes it."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, timeout_s: float, max_retries: int) -> None:
        self._session, self._timeout_s, self._max_retries = session, timeout_s, max_retries
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._proxy = _proxy(base_url)

    async def ask(self, request: bytes) -> Body | NotRun:
        """The body of the first answer with status 200, or why there was none after `max_retries` more attempts."""
        attempt = 0
        while True:
            answer, pause_s = await self._attempt(request)
            if pause_s is None or attempt == self._max_retries:
                return answer
            await asyncio.sleep(pause_s or _growing_pause_s(attempt))
            attempt += 1

    def post(self, request: bytes) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """One attempt, its body still to be read. Entering it raises aiohttp.ClientError and TimeoutError."""
        return self._session.post(self._url, data=request, proxy=self._proxy, allow_redirects=False)

    async def _attempt(self, request: bytes) -> tuple[Body | NotRun, float | None]:
        """The answer, and how long to pause before the next attempt: None, that would be useless; 0, as usual."""
        start = time.perf_counter()
        try:
            async with self.post(request) as response:
                content = await response.read()
        except TimeoutError:
            return NotRun(reason=f"no answer within {self._timeout_s:g} s"), 0
        except aiohttp.ClientError as error:
            return NotRun(reason=f"Connection error: {error or type(error).__name__}"), 0
        if response.status == 200:
            return Body(content, time.perf_counter() - start), None
        reason = f"HTTP {response.status}: {' '.join(content.decode(errors='replace').split())[:200]}"
        is_retried = response.status in _RETRIED or response.status >= 500
        refusal = NotRun(reason=reason, status_code=response.status)
        return refusal, _retry_after_s(response.headers) if is_retried else None


@asynccontextmanager
async def connect(base_url: str, api_key: str, timeout_s: float, max_retries: int) -> AsyncIterator[Connection]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
    ) as session:
        yield Connection(session, base_url, timeout_s, max_retries)


def _growing_pause_s(attempt: int) -> float:
    # Jitter, or all the clients that an overload has turned away come back at once.
    return float(min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S) * random.uniform(0.75, 1))


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """What the server asks for in seconds (RFC 9110, 10.2.3); 0 when it asks for nothing that can be granted."""
    try:
        asked_s = float(headers.get("Retry-After", "0"))
    except ValueError:
        return 0  # a date
    return asked_s if 0 < asked_s <= _LONGEST_RETRY_AFTER_S else 0


def _proxy(base_url: str) -> str | None:
    """Looked up once, as httpx does; aiohttp's own `trust_env` looks it up for every request."""
    parts = urlsplit(base_url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
