"""What a model gave back for one item, kept as it came, and how its calls are read."""

import json
from typing import Literal, NamedTuple

from data.conversation import Call
from data.leaked_call import find_leak
from data.row import JsonObject
from eval.settings import Record


class RawCall(Record):
    name: str
    arguments: str
    """The text as the endpoint sent it, JSON or not."""


class Reply(Record):
    content: str
    calls: list[RawCall]
    finish_reason: str | None
    latency_s: float
    """Of the attempt that was answered: from sending the request to the end of the response."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class NotRun(Record):
    reason: str
    status_code: int | None = None
    """Of the endpoint's refusal; None when it gave no HTTP answer at all, or 200 with garbage."""


class Reading(NamedTuple):
    calls: list[Call]
    fault: Literal["invalid_json", "leaked_call", "truncated"] | None = None
    """Why the calls that the model tried to make cannot all be read; `calls` is then empty."""
    why: str = ""

    @property
    def has_tried_to_call(self) -> bool:
        return bool(self.calls) or self.fault is not None


def read_calls(reply: Reply, tool_names: set[str]) -> Reading:
    """All calls with their arguments as objects, or the fault that leaves a client without them."""
    if leak := find_leak(reply.content, tool_names):
        if reply.finish_reason == "length":
            return Reading([], "truncated", f"cut off at the token limit inside a call: {leak!r}")
        return Reading([], "leaked_call", f"call text stands in the content: {leak!r}")
    calls = []
    for call in reply.calls:
        try:
            calls.append(Call(call.name, parse_arguments(call.arguments)))
        except (ValueError, RecursionError) as error:
            fault: Literal["truncated", "invalid_json"] = (
                "truncated" if reply.finish_reason == "length" else "invalid_json"
            )
            return Reading([], fault, f"arguments of {call.name}: {error}")
    return Reading(calls)


def parse_arguments(text: str) -> JsonObject:
    """Strict JSON; "" counts as {}, which is how vLLM streams a call without arguments. Raises ValueError."""
    arguments = _STRICT.decode(text or "{}")
    if not isinstance(arguments, dict):
        raise ValueError(f"a JSON {type(arguments).__name__}, not an object")
    # Half a surrogate pair passes json.loads and then breaks whatever writes it; the error is a ValueError.
    if "\\u" in text or not text.isascii():
        json.dumps(arguments, ensure_ascii=False).encode()
    return arguments


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
