"""Asks an endpoint every item of a suite, as an agent would: the OpenAI SDK, tool_choice auto, several at a time."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.chat_completion import Usage, read_completion
from eval.endpoint import Endpoint
from eval.item import Item
from eval.reply import NotRun, RawCall, Reply
from eval.settings import EvalSection

Answer = Reply | NotRun
# A server that has died must not cost (retries x timeout) for every item that is left.
_GIVE_UP_AFTER = 8


def ask_all(endpoint: Endpoint, items: list[Item], api_key: str, settings: EvalSection) -> list[Answer]:
    """One answer an item, in order: a Reply or a NotRun, whatever the endpoint does; it never raises."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"asking {endpoint.model}", total=len(items))
        return asyncio.run(_ask_all(endpoint, items, api_key, settings, lambda: progress.advance(bar)))


async def _ask_all(
    endpoint: Endpoint, items: list[Item], api_key: str, settings: EvalSection, on_done: Callable[[], None]
) -> list[Answer]:
    slots = asyncio.Semaphore(settings.concurrency)
    failures_in_a_row = 0

    async with openai.AsyncOpenAI(
        base_url=endpoint.base_url, api_key=api_key, timeout=settings.timeout_s, max_retries=settings.max_retries
    ) as client:

        async def ask_in_turn(item: Item) -> Answer:
            nonlocal failures_in_a_row
            async with slots:
                if failures_in_a_row >= max(_GIVE_UP_AFTER, 2 * settings.concurrency):
                    answer: Answer = NotRun(reason=f"not asked: {failures_in_a_row} failures in a row before it")
                else:
                    answer = await _ask(client, endpoint.model, item, settings)
                    failures_in_a_row = failures_in_a_row + 1 if _is_dead(answer) else 0
            on_done()
            return answer

        return list(await asyncio.gather(*map(ask_in_turn, items)))


async def _ask(client: openai.AsyncOpenAI, model: str, item: Item, settings: EvalSection) -> Answer:
    """The SDK retries connection faults, timeouts, 408, 409, 429 and 5xx with growing pauses."""
    try:
        raw = await client.chat.completions.with_raw_response.create(**request(model, item, settings))
    except openai.APITimeoutError:
        return NotRun(reason=f"no answer within {settings.timeout_s:g} s")
    except openai.APIStatusError as error:
        reason = f"HTTP {error.status_code}: {' '.join(error.response.text.split())[:200]}"
        return NotRun(reason=reason, status_code=error.status_code)
    except openai.OpenAIError as error:
        return NotRun(reason=f"{error}: {error.__cause__}")
    return _read(raw.http_response.content, raw.elapsed.total_seconds())


def _is_dead(answer: Answer) -> bool:
    """A 4xx is a live server's word on one item, such as a history over its context."""
    return isinstance(answer, NotRun) and (answer.status_code or 500) >= 500


def request(model: str, item: Item, settings: EvalSection) -> dict[str, Any]:
    asked = settings.with_options(item.options)
    seed = asked.seed + max(0, item.sample - 1)
    sampling = {"temperature": asked.temperature, "seed": seed, "max_tokens": asked.max_tokens}
    # Without tools the API refuses any tool_choice.
    choice = {"tool_choice": asked.tool_choice} if item.tools else {}
    return {"model": model, **item.request, **choice, **sampling}


def _read(body: bytes, latency_s: float) -> Answer:
    try:
        completion = read_completion(body)
    except ValueError as error:
        return NotRun(reason=str(error))
    choice, usage = completion.choices[0], completion.usage or Usage()
    calls = [call.function for call in choice.message.tool_calls or []]
    return Reply(
        content=choice.message.content or "",
        calls=[RawCall(name=call.name, arguments=_text(call.arguments)) for call in calls],
        finish_reason=choice.finish_reason,
        latency_s=latency_s,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def _text(arguments: str | dict[str, Any]) -> str:
    """Some servers send the object itself; the API's form is its text."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
