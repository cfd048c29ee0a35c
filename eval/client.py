"""Asks an endpoint every item of a suite, as an agent would: tool_choice auto, several at a time."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data.chat_completion import Usage, read_completion
from data.user_error import UserError
from eval.answer_log import AnswerLog, answer_key, weights_sha256
from eval.endpoint import Endpoint
from eval.item import Item
from eval.reply import NotRun, RawCall, Reply
from eval.settings import EvalSection
from eval.transport import Connection, connect

Answer = Reply | NotRun
Found = TypeVar("Found")
# A server that has died must not cost (retries x timeout) for every item that is left.
_GIVE_UP_AFTER = 8
_SHOW_EVERY_S = 0.1


def ask_all(
    endpoint: Endpoint, items: list[Item], api_key: str, settings: EvalSection, log: AnswerLog | None = None
) -> list[Answer]:
    """One answer an item, in order: a Reply or a NotRun, whatever the endpoint does. Raises UserError for a full disk.

    What `log` holds is not asked again, and what is asked is written there as it comes.
    """
    return ask_each(endpoint, items, api_key, settings, log, lambda _, answer: answer)


def ask_each(
    endpoint: Endpoint, items: list[Item], api_key: str, settings: EvalSection, log: AnswerLog | None,
    read: Callable[[Item, Answer], Found],
) -> list[Found]:  # fmt: skip
    """What `read` makes of each answer as it comes: there is time for that while other items wait for theirs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"asking {endpoint.model}", total=len(items))
        asking = _Asking(endpoint, items, settings, log, read, lambda done: progress.update(bar, completed=done))
        # An answer takes less of the processor on uvloop than on Python's own event loop.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(asking.run(api_key))


class _Asking(Generic[Found]):
    """As many workers as `concurrency` take one item after the other: no task waits for its turn."""

    def __init__(
        self, endpoint: Endpoint, items: list[Item], settings: EvalSection, log: AnswerLog | None,
        read: Callable[[Item, Answer], Found], on_progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._endpoint, self._settings, self._log = endpoint, settings, log
        self._read, self._on_progress = read, on_progress
        self._weights = weights_sha256(endpoint)
        self._waiting: Iterator[tuple[int, Item]] = iter(enumerate(items))
        self._found: dict[int, Found] = {}
        self._failures_in_a_row = 0
        self._shown_at = time.monotonic()

    async def run(self, api_key: str) -> list[Found]:
        settings = self._settings
        try:
            async with (
                connect(self._endpoint.base_url, api_key, settings.timeout_s, settings.max_retries) as connection,
                asyncio.TaskGroup() as workers,
            ):
                for _ in range(settings.concurrency):
                    workers.create_task(self._work(connection))
        except ExceptionGroup as group:
            # All workers meet the same full disk; the user is told once.
            if told := group.subgroup(UserError):
                raise told.exceptions[0] from group
            raise
        self._on_progress(len(self._found))
        return [self._found[index] for index in range(len(self._found))]

    async def _work(self, connection: Connection) -> None:
        for index, item in self._waiting:
            self._found[index] = self._read(item, await self._answer(connection, item))
            if (now := time.monotonic()) - self._shown_at >= _SHOW_EVERY_S:
                self._shown_at = now
                self._on_progress(len(self._found))

    async def _answer(self, connection: Connection, item: Item) -> Answer:
        body = encoded(request(self._endpoint.model, item, self._settings))
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


def encoded(body: dict[str, Any]) -> bytes:
    """As JSON: msgspec takes a fifth of the time that `json` takes for a request with its tools."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body).encode()  # half a surrogate pair, which only an escape can send


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
