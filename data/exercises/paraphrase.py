"""Requests reworded by a teacher, kept only where every argument value still stands in them."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import openai

from data.distillation.answer_journal import AnswerJournal
from data.distillation.budget import Budget, Tokens
from data.distillation.playing import EndpointAddress
from data.distillation.settings import DistillSection
from data.distillation.teacher import SampleError, Teacher
from data.exercises.rows import rule_broken, user_text
from data.exercises.scene import Exercise
from data.row import JsonObject

_INSTRUCTION = (
    "Reword the request as a person would write it to an assistant. Keep its meaning and every name, number and quoted"
    " value exactly as written; values need no quotes. Answer with the reworded request alone."
)


class Reworded(NamedTuple):
    exercises: list[Exercise]
    plain: Counter[str]
    """Exercises with calls that keep their plain wording, by cause."""


async def reword(
    exercises: list[Exercise],
    tools: list[JsonObject],
    address: EndpointAddress,
    journal: AnswerJournal,
    settings: DistillSection,
    on_done: Callable[[], None],
) -> Reworded:
    """Exercises without a call stay as they are: what they lack or tell must not be reworded away."""
    recorded = journal.answers.values()
    spent = Tokens(sum(one.prompt_tokens for one in recorded), sum(one.completion_tokens for one in recorded))
    out, plain = list(exercises), Counter[str]()
    async with openai.AsyncOpenAI(
        base_url=address.base_url, api_key=address.api_key, timeout=settings.timeout_s, max_retries=settings.max_retries
    ) as client:
        teacher = Teacher(client, address.model, journal, Budget(settings, spent), settings)

        async def work() -> None:
            for index in parts:  # shared by all workers
                try:
                    out[index] = await _reworded(exercises[index], tools, teacher)
                except SampleError as error:
                    plain[error.cause] += 1
                on_done()

        parts = (index for index, exercise in enumerate(exercises) if _has_calls(exercise))
        await asyncio.gather(*(work() for _ in range(settings.concurrency)))
    return Reworded(out, plain)


async def _reworded(exercise: Exercise, tools: list[JsonObject], teacher: Teacher) -> Exercise:
    request = user_text(exercise)
    messages: list[JsonObject] = [{"role": "system", "content": _INSTRUCTION}, {"role": "user", "content": request}]
    choice = (await teacher.ask({"messages": messages}, 0)).choices[0]
    text = (choice.message.content or "").strip()
    if choice.finish_reason == "length":
        raise SampleError("truncated", "cut off at the token limit")
    if not text:
        raise SampleError("empty_answer", "no text")
    lost = [value for value in exercise.values if not stands_in(value, text)]
    if lost:
        raise SampleError("value_lost", f"{lost[0]!r} is not in the new wording")
    reworded = _with_text(exercise, text)
    if fault := rule_broken(reworded, tools):
        raise SampleError("rules", fault)
    return reworded


def stands_in(value: str, text: str) -> bool:
    """As a word of its own: 2 does not stand in "T-24" or "2.5"."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", text) is not None


def _has_calls(exercise: Exercise) -> bool:
    return any("tool_calls" in message for message in exercise.messages)


def _with_text(exercise: Exercise, text: str) -> Exercise:
    messages = [message | {"content": text} if message["role"] == "user" else message for message in exercise.messages]
    return exercise._replace(messages=messages)
