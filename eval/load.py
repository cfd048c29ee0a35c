"""Requests to an endpoint as so many users at once, or as they come: latency and throughput of each load."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from eval.endpoint import Endpoint
from eval.intervals import percentile
from eval.reply import NotRun
from eval.settings import Record
from eval.streamed_call import Timing, timed_call
from eval.transport import Connection, connect


class Percentiles(Record):
    """Milliseconds; None when nothing was answered."""

    p50: float | None
    p95: float | None
    p99: float | None


class LoadResult(Record):
    concurrency: int | None
    """Users who each wait for their answer before they ask again (closed loop)."""
    rate: float | None
    """Requests a second that come whether or not earlier ones are done (open loop, Poisson)."""
    num_requests: int
    num_failed: int
    why: str
    """Of the first that failed."""
    first_token_ms: Percentiles
    whole_ms: Percentiles
    calls_per_s: float
    prompt_tokens: float
    completion_tokens: float
    """A call, on average."""

    @property
    def title(self) -> str:
        return f"{self.concurrency} at a time" if self.concurrency else f"{self.rate:g} a second"


def closed_loop(
    endpoint: Endpoint, api_key: str, requests: Sequence[bytes], concurrency: int, timeout_s: float
) -> LoadResult:
    async def ask_all(connection: Connection) -> list[Timing | NotRun]:
        answers: list[Timing | NotRun] = []
        waiting = iter(requests)

        async def user() -> None:
            for request in waiting:
                answers.append(await timed_call(connection, request, time.perf_counter()))  # noqa: PERF401

        await asyncio.gather(*(user() for _ in range(concurrency)))
        return answers

    return _run(endpoint, api_key, timeout_s, ask_all, concurrency=concurrency)


def open_loop(
    endpoint: Endpoint, api_key: str, requests: Sequence[bytes], rate: float, timeout_s: float, seed: int
) -> LoadResult:
    """Latency counts from when a request was due: a client that waits for a slow server would leave out the worst."""

    async def ask_all(connection: Connection) -> list[Timing | NotRun]:
        start = time.perf_counter()

        async def ask(request: bytes, due_s: float) -> Timing | NotRun:
            await asyncio.sleep(start + due_s - time.perf_counter())
            return await timed_call(connection, request, start + due_s)

        arrivals = zip(requests, _poisson_arrivals_s(rate, seed), strict=False)
        return list(await asyncio.gather(*(ask(request, due_s) for request, due_s in arrivals)))

    return _run(endpoint, api_key, timeout_s, ask_all, rate=rate)


def _poisson_arrivals_s(rate: float, seed: int) -> Iterator[float]:
    gaps, due_s = random.Random(seed), 0.0
    while True:
        due_s += gaps.expovariate(rate)
        yield due_s


def _run(
    endpoint: Endpoint,
    api_key: str,
    timeout_s: float,
    ask_all: Callable[[Connection], Awaitable[list[Timing | NotRun]]],
    *,
    concurrency: int | None = None,
    rate: float | None = None,
) -> LoadResult:
    async def run() -> tuple[list[Timing | NotRun], float]:
        async with connect(endpoint.base_url, api_key, timeout_s, max_retries=0) as connection:
            start = time.perf_counter()
            answers = await ask_all(connection)
            return answers, time.perf_counter() - start

    answers, seconds = asyncio.run(run())
    timings = [answer for answer in answers if isinstance(answer, Timing)]
    failed = [answer for answer in answers if isinstance(answer, NotRun)]
    return LoadResult(
        concurrency=concurrency,
        rate=rate,
        num_requests=len(answers),
        num_failed=len(failed),
        why=failed[0].reason if failed else "",
        first_token_ms=_percentiles([timing.first_token_s for timing in timings]),
        whole_ms=_percentiles([timing.whole_s for timing in timings]),
        calls_per_s=len(timings) / seconds,
        prompt_tokens=sum(timing.prompt_tokens for timing in timings) / max(1, len(timings)),
        completion_tokens=sum(timing.completion_tokens for timing in timings) / max(1, len(timings)),
    )


def _percentiles(seconds: Sequence[float]) -> Percentiles:
    milliseconds = [1000 * value for value in seconds]
    p50, p95, p99 = (percentile(milliseconds, share) for share in (0.5, 0.95, 0.99))
    return Percentiles(p50=p50, p95=p95, p99=p99)
