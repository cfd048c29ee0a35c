"""Asks an endpoint every item of a suite, as an agent would: tool_choice auto, several at a time."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.chat_completion import Usage, read_completion
from eval.answer_log import AnswerLog, answer_key, weights_sha256
from eval.endpoint import Endpoint
from eval.item import Item
from eval.reply import NotRun, RawCall, Reply
from eval.settings import EvalSection
from eval.transport import Connection, connect

Answer = Reply | NotRun
# A server that has died must not cost (retries x timeout) for every item that is left.
_GIVE_UP_AFTER = 8


def ask_all(
    endpoint: Endpoint, items: list[Item], api_key: str, settings: EvalSection, log: AnswerLog | None = None
) -> list[Answer]:
    """One answer an item, in order: a Reply or a NotRun, whatever the endpoint does. Raises UserError for a full disk.

    What `log` holds is not asked again, and what is asked is written there as it comes.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"asking {endpoint.model}", total=len(items))
        asking = _Asking(endpoint, items, settings, log, lambda: progress.advance(bar))
        return asyncio.run(asking.run(api_key))


class _Asking:
    """As many workers as `concurrency` take one item after the other: no task waits for its turn."""

    def __init__(
        self, endpoint: Endpoint, items: list[Item], settings: EvalSection, log: AnswerLog | None,
        on_done: Callable[[], None],
    ) -> None:  # fmt: skip
        self._endpoint, self._settings, self._log, self._on_done = endpoint, settings, log, on_done
        self._weights = weights_sha256(endpoint)
        self._waiting: Iterator[tuple[int, Item]] = iter(enumerate(items))
        self._answers: list[Answer] = [NotRun(reason="not asked")] * len(items)
        self._failures_in_a_row = 0

    async def run(self, api_key: str) -> list[Answer]:
        settings = self._settings
        async with (
            connect(self._endpoint.base_url, api_key, settings.timeout_s, settings.max_retries) as connection,
            asyncio.TaskGroup() as workers,
        ):
            for _ in range(settings.concurrency):
                workers.create_task(self._work(connection))
        return self._answers

    async def _work(self, connection: Connection) -> None:
        for index, item in self._waiting:
            self._answers[index] = await self._answer(connection, item)
            self._on_done()

    async def _answer(self, connection: Connection, item: Item) -> Answer:
        body = json.dumps(request(self._endpoint.model, item, self._settings)).encode()
        key = answer_key(self._weights, body)
        if self._log and (earlier := self._log.take(key)):
            return earlier
        if self._failures_in_a_row >= max(_GIVE_UP_AFTER, 2 * self._settings.concurrency):
            return NotRun(reason=f"not asked: {self._failures_in_a_row} failures in a row before it")
        answer = await _ask(connection, body)
        self._failures_in_a_row = self._failures_in_a_row + 1 if _is_dead(answer) else 0
        if self._log and isinstance(answer, Reply):
            self._log.add(key, answer)
        return answer


async def _ask(connection: Connection, body: bytes) -> Answer:
    answer = await connection.ask(body)
    return answer if isinstance(answer, NotRun) else _read(answer.content, answer.latency_s)


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
