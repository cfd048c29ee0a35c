"""The teacher: a model behind an OpenAI-compatible endpoint, asked through the SDK, the journal and the budget."""

from typing import Any

import openai

from data.chat_completion import Completion, read_completion
from data.distillation.answer_journal import AnswerJournal, Recorded, request_key
from data.distillation.budget import Budget, Tokens, most_tokens
from data.distillation.settings import DistillSection
from data.row import JsonObject

# A server that has died must not cost (retries x timeout) for every sample that is left.
_GIVE_UP_AFTER = 8
# A live server's word on this one request, such as a history over its context.
_REFUSALS = (400, 413, 422)


class SampleError(Exception):
    """Why a sample ends without a row: one word to count it by, and the reason."""

    def __init__(self, cause: str, why: str) -> None:
        self.cause, self.why = cause, why
        super().__init__(why)


class UnansweredError(SampleError):
    """Not the teacher's word: the same request may be answered when it is asked again."""

    def __init__(self, why: str) -> None:
        super().__init__("unanswered", why)


class Teacher:
    def __init__(
        self, client: openai.AsyncOpenAI, model: str, journal: AnswerJournal, budget: Budget, settings: DistillSection
    ) -> None:
        self._client, self._model, self._settings = client, model, settings
        self._journal, self._budget = journal, budget
        self._failures_in_a_row = 0

    async def ask(self, request: JsonObject, sample: int) -> Completion:
        """The answer, from the journal where it was given before. Raises SampleError when there is none."""
        settings = self._settings
        sampling = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
        # Without tools the API refuses any tool_choice.
        tool_choice = {"tool_choice": "auto"} if "tools" in request else {}
        body = {"model": self._model, **request, **tool_choice, **sampling, "seed": settings.seed + sample}
        body = settings.over(body)
        key = request_key(body)
        if key not in self._journal.answers:
            self._journal.add(await self._pay_for(body, key))
        return self._journal.answers[key].completion

    async def _pay_for(self, body: dict[str, Any], key: str) -> Recorded:
        if self._failures_in_a_row >= max(_GIVE_UP_AFTER, 2 * self._settings.concurrency):
            raise UnansweredError(f"not asked: {self._failures_in_a_row} failures in a row before it")
        most = most_tokens(body, self._settings.most_completion_tokens)
        if not await self._budget.reserve(most):
            raise UnansweredError("the budget is spent")
        used = Tokens()
        try:
            completion = await self._post(body)
            usage = completion.usage
            used = Tokens(usage.prompt_tokens, usage.completion_tokens) if usage else most
        finally:
            await self._budget.settle(most, used)
        return Recorded(key=key, completion=completion, prompt_tokens=used.prompt, completion_tokens=used.completion)

    async def _post(self, body: dict[str, Any]) -> Completion:
        """The SDK retries connection faults, timeouts, 408, 409, 429 and 5xx, heeding Retry-After up to two minutes."""
        try:
            # What the SDK does not know goes in extra_body, and it sends that as it is.
            rest = {key: value for key, value in body.items() if key not in ("model", "messages")}
            raw = await self._client.chat.completions.with_raw_response.create(
                model=body["model"], messages=body["messages"], extra_body=rest
            )
            completion = read_completion(raw.http_response.content)
        except openai.APIStatusError as error:
            reason = f"HTTP {error.status_code}: {' '.join(error.response.text.split())[:200]}"
            if error.status_code in _REFUSALS:
                self._failures_in_a_row = 0
                raise SampleError("refused", reason) from error
            raise self._failure(reason) from error
        except openai.APITimeoutError as error:
            raise self._failure(f"no answer within {self._settings.timeout_s:g} s") from error
        except openai.OpenAIError as error:
            raise self._failure(f"{error}: {error.__cause__}") from error
        except ValueError as error:
            raise self._failure(str(error)) from error
        self._failures_in_a_row = 0
        return completion

    def _failure(self, reason: str) -> UnansweredError:
        self._failures_in_a_row += 1
        return UnansweredError(reason)
