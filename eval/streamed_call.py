"""One streamed chat completion, timed: when its first token came, and when it was whole."""

import json
import time

import aiohttp

from data.row import JsonObject
from eval.reply import NotRun
from eval.settings import Record
from eval.transport import Connection


class Timing(Record):
    first_token_s: float
    """From the arrival of the request to the first text or call."""
    whole_s: float
    prompt_tokens: int
    completion_tokens: int


async def timed_call(connection: Connection, request: bytes, arrival: float) -> Timing | NotRun:
    """`arrival`, of time.perf_counter, is when the request was due. Tried once: a retry would hide a fault."""
    first: float | None = None
    usage: dict[str, int] = {}
    try:
        async with connection.post(request) as response:
            if response.status != 200:
                return NotRun(reason=f"HTTP {response.status}", status_code=response.status)
            async for line in response.content:
                chunk = _chunk(line)
                if first is None and _has_token(chunk):
                    first = time.perf_counter()
                usage = chunk.get("usage") or usage
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        return NotRun(reason=f"{type(error).__name__}: {error}")
    if first is None:
        return NotRun(reason="the stream held no token")
    return Timing(
        first_token_s=first - arrival,
        whole_s=time.perf_counter() - arrival,
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
    )


def _chunk(line: bytes) -> JsonObject:
    """Of one line of the event stream; {} for what is no data. Raises ValueError for an error of the server."""
    data = line.removeprefix(b"data:").strip()
    if not line.startswith(b"data:") or data == b"[DONE]":
        return {}
    chunk = json.loads(data)
    if not isinstance(chunk, dict) or "error" in chunk:
        raise ValueError(f"in the stream: {data[:200]!r}")
    return chunk


def _has_token(chunk: JsonObject) -> bool:
    deltas = (choice.get("delta") or {} for choice in chunk.get("choices") or [])
    return any(delta.get("content") or delta.get("tool_calls") for delta in deltas)
