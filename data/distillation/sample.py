"""One sample: a request played to its end, the teacher's calls executed and their results given back."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from data.chat_completion import Completion, ToolCall
from data.chat_request import chat_request
from data.conversation import Call, arguments_object
from data.distillation.environment import new_environment
from data.distillation.request_file import Request
from data.distillation.settings import DistillSection
from data.distillation.teacher import SampleError, Teacher
from data.leaked_call import find_leak
from data.reading import parse_row
from data.row import JsonObject
from data.user_error import UserError


class Sample(NamedTuple):
    number: int
    row: JsonObject
    """The request and what was written after it; a turn with a failed call has `weight` 0: context, not to be learned.
    Call ids are `call_1`, `call_2`, ..., whatever the endpoint made up."""
    calls: list[list[Call]]
    """Those of the turns in which every call succeeded."""
    end_state: JsonObject | None
    """Of the environment, when calls have changed it and none failed."""
    num_reasoning: int
    """Answers whose reasoning came apart from the text; rows have no place for it."""
    cause: str = ""
    """One word for why it cannot be kept; "" when it can."""
    why: str = ""


async def play(request: Request, number: int, teacher: Teacher, settings: DistillSection) -> Sample:
    talk = _Talk(request, settings)
    try:
        for _ in range(settings.max_turns):
            talk.add(await teacher.ask(talk.request(), number))
            if talk.is_over:
                talk.check()
                return talk.sample(number)
        raise SampleError("too_many_turns", f"no plain answer within {settings.max_turns} turns")
    except SampleError as error:
        return talk.sample(number, error.cause, error.why)


class _Talk:
    def __init__(self, request: Request, settings: DistillSection) -> None:
        self._request = request
        self._history = chat_request(request.row, len(request.row.messages))
        self._environment = new_environment(settings.environment, request.row)
        self._start = self._environment.state()
        self._said: list[JsonObject] = []
        self._turns: list[list[Call]] = []
        self._failed: list[bool] = []
        """One flag a turn with calls: has one of them failed?"""
        self._num_reasoning = 0
        self.is_over = False

    def request(self) -> JsonObject:
        return self._history | {"messages": self._history["messages"] + self._said}

    def add(self, completion: Completion) -> None:
        """Raises SampleError for an answer that no row can hold."""
        choice = completion.choices[0]
        text = (choice.message.content or "").strip()
        self._num_reasoning += bool(choice.message.reasoning_content or choice.message.reasoning)
        if choice.finish_reason == "length":
            raise SampleError("truncated", "cut off at the token limit (fix: a larger --max-tokens)")
        if "<think>" in text or "</think>" in text:
            raise SampleError("reasoning", "the content holds <think> (fix: give the server its reasoning parser)")
        if leak := find_leak(text, self._request.row.tool_names()):
            raise SampleError("leaked_call", f"call text stands in the content: {leak!r} (fix: the server's parser)")
        if choice.message.tool_calls:
            self._call(text, choice.message.tool_calls)
        elif text:
            self._said.append({"role": "assistant", "content": text})
            self.is_over = True
        else:
            raise SampleError("empty_answer", "neither text nor a call")

    def _call(self, text: str, tool_calls: list[ToolCall]) -> None:
        calls = [Call(call.function.name, _arguments(call)) for call in tool_calls]
        ids = self._ids(tool_calls)
        out = [_written(call_id, call) for call_id, call in zip(ids, calls, strict=True)]
        self._said.append({"role": "assistant", "content": text or None, "tool_calls": out})
        results = [self._environment.call(call.name, call.arguments) for call in calls]
        for call_id, result in zip(ids, results, strict=True):
            content = json.dumps(result, ensure_ascii=False)
            self._said.append({"role": "tool", "tool_call_id": call_id, "content": content})
        self._turns.append(calls)
        self._failed.append(any("error" in result for result in results))

    def _ids(self, tool_calls: list[ToolCall]) -> list[str]:
        """The endpoint's own, since some take no others back; made up where it sent none or one twice."""
        given = [call.id or "" for call in tool_calls]
        if all(given) and len(set(given)) == len(given):
            return given
        return [f"call_{len(self._said)}_{index}" for index in range(len(given))]

    def check(self) -> None:
        """Raises SampleError when the row breaks a rule, or when the last calls failed and were not mended."""
        if self._failed and self._failed[-1]:
            raise SampleError("unrecovered_error", f"the last calls failed: {self._last_error()}")
        _, findings = parse_row(self._request.path, self._request.line, json.dumps(self._row()))
        for finding in findings:
            if finding.is_error:
                raise SampleError(finding.fault.rule, str(finding))

    def _last_error(self) -> str:
        results = [message["content"] for message in self._said if message["role"] == "tool"]
        return str(next(result for result in reversed(results) if result.startswith('{"error"')))

    def sample(self, number: int, cause: str = "", why: str = "") -> Sample:
        state = self._environment.state()
        end_state = None if any(self._failed) or state == self._start else state
        sound = [calls for calls, has_failed in zip(self._turns, self._failed, strict=True) if not has_failed]
        return Sample(number, self._row(), sound, end_state, self._num_reasoning, cause, why)

    def _row(self) -> JsonObject:
        base = self._request.row.model_dump(exclude_unset=True)
        names = _new_ids(base["messages"])
        said, failed = [], iter(self._failed)
        for message in self._said:
            message = dict(message)
            if "tool_calls" in message:
                ids = {call["id"]: next(names) for call in message["tool_calls"]}
                message["tool_calls"] = [call | {"id": ids[call["id"]]} for call in message["tool_calls"]]
                message |= {"weight": 0} if next(failed, False) else {}
            elif message["role"] == "tool":
                message["tool_call_id"] = ids[message["tool_call_id"]]
            said.append(message)
        return base | {"messages": base["messages"] + said}


def _new_ids(messages: list[JsonObject]) -> Iterator[str]:
    taken = {call["id"] for message in messages for call in message.get("tool_calls") or ()}
    return (name for number in range(1, 10**6) if (name := f"call_{number}") not in taken)


def _arguments(call: ToolCall) -> JsonObject:
    try:
        return arguments_object(call.function.arguments)
    except UserError as error:
        raise SampleError("arguments", f"{call.function.name}: {error.what}") from error


def _written(call_id: str, call: Call) -> JsonObject:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}
