"""What the API adds to a chat stream, against the same server asked directly, in turn, in one run.

    python -m tests.serve.overhead [--concurrency 32] [--rounds 6] [--streams 1000] [--together] [--pause-ms 20]

A planted server streams 30 tokens, one every 20 ms (--pause-ms). Half of each round asks it directly, the other half
through the API with store=true, by so many clients whose requests are spread over time (--together: all at the same
moment). Prints first token and whole answer, median and p99, what a request and an event cost the API in processor
time, then its memory with many open streams: 1,000 of a token every 20 ms are more than two cores carry.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
import uvloop

from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import BASE, api_server, write_settings

TOKENS = 30
ANSWERS = 4


class Timing(NamedTuple):
    first_s: float
    whole_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--streams", type=int, default=1000, help="0: overhead alone (default: 1000)")
    parser.add_argument("--pause-ms", type=float, default=20.0, help="between two tokens of a stream (default: 20)")
    parser.add_argument("--together", action="store_true", help="the worst case: all ask at the same moment")
    args = parser.parse_args()
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "tests.serve.token_stream", str(port), str(args.pause_ms / 1000)]
    planted = subprocess.Popen(command, cwd=ROOT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            direct = f"http://127.0.0.1:{port}/v1"
            settings = write_settings(Path(folder), engines={BASE: direct})
            with api_server(settings, "--no-worker") as server:
                uvloop.run(measure(direct, server.base_url, psutil.Process(server.process.pid), args))
    finally:
        planted.terminate()


async def measure(direct: str, through: str, api: psutil.Process, args: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)  # uvicorn closes idle connections after 5 s
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
        found: dict[str, list[Timing]] = {direct: [], through: []}
        spread_s = 0 if args.together else TOKENS * args.pause_ms / 1000
        for number in range(args.rounds + 1):
            for url in (direct, through) if number % 2 else (through, direct):
                timings = await asyncio.gather(*(worker(http, url, spread_s) for _ in range(args.concurrency)))
                if number:  # the first round opens connections and compiles
                    found[url] += [timing for some in timings for timing in some]
        for name in Timing._fields:
            asked = {url: sorted(getattr(timing, name) * 1000 for timing in found[url]) for url in found}
            median = {url: statistics.median(values) for url, values in asked.items()}
            p99 = {url: values[int(len(values) * 0.99)] for url, values in asked.items()}
            print(
                f"{name}: direct {median[direct]:.1f} ms, API {median[through]:.1f} ms, "
                f"median +{median[through] - median[direct]:.1f} ms, p99 +{p99[through] - p99[direct]:.1f} ms "
                f"(n {len(asked[direct])} each, concurrency {args.concurrency})"
            )
        if args.streams:
            await cost(http, through, api)
            await memory(http, through, api, args.streams)


async def worker(http: aiohttp.ClientSession, url: str, spread_s: float) -> list[Timing]:
    await asyncio.sleep(random.uniform(0, spread_s))
    return [await ask(http, url, TOKENS) for _ in range(ANSWERS)]


async def ask(http: aiohttp.ClientSession, url: str, tokens: int) -> Timing:
    message = {"role": "user", "content": f"tokens {tokens}"}
    body: dict[str, Any] = {"model": BASE, "messages": [message], "stream": True, "store": True}
    began = time.perf_counter()
    first = 0.0
    async with http.post(f"{url}/chat/completions", data=json.dumps(body)) as answer:
        assert answer.status == 200, await answer.text()
        async for piece in answer.content.iter_any():
            if not first and b'"content": " 0"' in piece:
                first = time.perf_counter() - began
        return Timing(first, time.perf_counter() - began)


async def cost(http: aiohttp.ClientSession, url: str, api: psutil.Process) -> None:
    """Processor time of the API alone, which other programs of the machine hardly change: two lengths of answer."""
    used = {}
    for tokens in (1, 101):
        before = sum(api.cpu_times()[:2])
        for _ in range(10):
            await asyncio.gather(*(ask(http, url, tokens) for _ in range(32)))
        used[tokens] = (sum(api.cpu_times()[:2]) - before) / 320 * 1e6
    print(f"processor time of the API: {used[1]:.0f} us a request, {(used[101] - used[1]) / 100:.0f} us an event more")


async def memory(http: aiohttp.ClientSession, url: str, api: psutil.Process, streams: int) -> None:
    """Resident memory before, while all are open, near their end, and after."""

    def mib() -> float:
        return api.memory_info().rss / 2**20

    before = mib()
    asked = [asyncio.create_task(ask(http, url, 1500)) for _ in range(streams)]
    seen = []
    for _ in range(6):
        await asyncio.sleep(5)
        seen.append(mib())
    print(
        f"{streams} open streams: {before:.0f} MiB before, then every 5 s {', '.join(f'{each:.0f}' for each in seen)}"
    )
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


if __name__ == "__main__":
    main()
