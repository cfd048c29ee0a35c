"""What the API adds to a chat stream, against the same server asked directly, in turn, in one run.

    python -m tests.serve.overhead [--concurrency 32] [--rounds 6] [--streams 1000]

A planted server streams 30 tokens, one every 20 ms. Half of each round asks it directly, the other half through the
API with store=true. Prints first token and whole answer, median and p99, then the API's memory with many open streams.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil

from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import BASE, api_server, write_settings

TOKENS = 30
PAUSE_S = 0.02


class Timing(NamedTuple):
    first_s: float
    whole_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--streams", type=int, default=1000)
    args = parser.parse_args()
    port = free_port("127.0.0.1")
    planted = subprocess.Popen([sys.executable, "-m", "tests.serve.planted_vllm", str(port), str(PAUSE_S)], cwd=ROOT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            direct = f"http://127.0.0.1:{port}/v1"
            settings = write_settings(Path(folder), engines={BASE: direct})
            with api_server(settings, "--no-worker") as server:
                asyncio.run(measure(direct, server.base_url, server.process.pid, args))
    finally:
        planted.terminate()


async def measure(direct: str, through: str, pid: int, args: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
        found: dict[str, list[Timing]] = {direct: [], through: []}
        for number in range(args.rounds + 1):
            for url in (direct, through) if number % 2 else (through, direct):
                timings = await asyncio.gather(*(worker(http, url) for _ in range(args.concurrency)))
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
        await memory(http, through, pid, args.streams)


async def worker(http: aiohttp.ClientSession, url: str) -> list[Timing]:
    return [await ask(http, url, TOKENS) for _ in range(4)]


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


async def memory(http: aiohttp.ClientSession, url: str, pid: int, streams: int) -> None:
    """Resident memory before, while all are open, near their end, and after."""
    process = psutil.Process(pid)

    def mib() -> float:
        return process.memory_info().rss / 2**20

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
