"""All samples of all requests, several at a time."""

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import openai

from data.distillation.answer_journal import AnswerJournal
from data.distillation.budget import Budget, Tokens
from data.distillation.request_file import Request
from data.distillation.sample import Sample, play
from data.distillation.settings import DistillSection
from data.distillation.teacher import Teacher


class EndpointAddress(NamedTuple):
    base_url: str
    api_key: str
    model: str


class Played(NamedTuple):
    samples: list[list[Sample]]
    """For each request, in order, its samples in order; those not played to their end have the cause `unanswered`."""
    spent: Tokens
    """By this and earlier runs."""
    cost: float
    """In the currency of the prices; 0 where they are not given."""
    is_over_budget: bool


async def play_all(
    requests: list[Request],
    address: EndpointAddress,
    journal: AnswerJournal,
    settings: DistillSection,
    on_done: Callable[[], None],
) -> Played:
    spent = Tokens()
    for recorded in journal.answers.values():
        spent = spent.plus(Tokens(recorded.prompt_tokens, recorded.completion_tokens))
    budget = Budget(settings, spent)
    samples: list[list[Sample]] = [[] for _ in requests]
    async with openai.AsyncOpenAI(
        base_url=address.base_url,
        api_key=address.api_key,
        timeout=settings.timeout_s,
        max_retries=settings.max_retries,
    ) as client:
        teacher = Teacher(client, address.model, journal, budget, settings)

        async def play_in_turn(parts: Iterator[tuple[int, int]]) -> None:
            for index, number in parts:  # shared by all workers
                samples[index].append(await play(requests[index], number, teacher, settings))
                on_done()

        parts = ((index, number) for index in range(len(requests)) for number in range(settings.samples))
        await asyncio.gather(*(play_in_turn(parts) for _ in range(settings.concurrency)))
    ordered = [sorted(played, key=lambda sample: sample.number) for played in samples]
    return Played(ordered, budget.spent, budget.cost(budget.spent), budget.is_exhausted)
