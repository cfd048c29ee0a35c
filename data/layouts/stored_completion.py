"""Stored completions: a chat request beside its response, or a `chat.completion` that holds its input `messages`.

{"request": {"messages": [...], "tools": [...]}, "response": {"choices": [{"message": {...}}]}}
"""

from collections.abc import Iterable

from data.layouts.draft import Draft
from data.layouts.layout import Layout
from data.layouts.literal import read_object
from data.layouts.openai_chat import draft_chat
from data.layouts.record_error import RecordError, as_list, as_object
from data.row import JsonObject

_READ = {"messages", "tools", "functions", "parallel_tool_calls"}
_COMPLETION = {"id", "object", "created", "choices", "usage"}


def _fits(record: JsonObject) -> bool:
    return {"request", "response"} <= set(record) or (record.get("object") == "chat.completion" and "choices" in record)


def _split(record: JsonObject) -> Iterable[JsonObject]:
    data = record.get("data")
    if record.get("object") != "list" or not isinstance(data, list):
        return [record]
    return [item if isinstance(item, dict) else {} for item in data]


def _draft(record: JsonObject) -> Draft:
    request = _object(record, "request") if "request" in record else record
    response = _object(record, "response") if "response" in record else record
    if "messages" not in request:
        raise RecordError("form", "the completion holds no input messages", "dump the request beside it")
    messages = [_input(as_object(message, "a message")) for message in as_list(request["messages"], "messages")]
    draft = draft_chat(
        {key: request[key] for key in _READ if key in request} | {"messages": [*messages, _answer(response)]}
    )
    for key in set(request) - _READ if "request" in record else ():
        draft.notes[f"request {key!r} left out"] += 1
    return draft


def _object(record: JsonObject, key: str) -> JsonObject:
    """The body, which a dump may hold as text or, as batch output does, under `body`."""
    value = record[key]
    value = read_object(value, f"the {key}") if isinstance(value, str) else as_object(value, f"the {key}")
    return as_object(value["body"], f"the body of the {key}") if "body" in value else value


def _input(message: JsonObject) -> JsonObject:
    """A message without what a store adds to it."""
    out = {key: value for key, value in message.items() if key not in ("id", "content_parts")}
    return out | ({"content": message["content_parts"]} if message.get("content_parts") else {})


def _answer(response: JsonObject) -> JsonObject:
    choices = as_list(response.get("choices"), "choices")
    if len(choices) != 1:
        raise RecordError("alternatives", f"the response has {len(choices)} choices, a row has one answer", "keep one")
    choice = as_object(choices[0], "the choice")
    if choice.get("finish_reason") in ("length", "content_filter"):
        raise RecordError("cut_off", f"the answer ended for {choice['finish_reason']}", "leave it out, or complete it")
    return as_object(choice.get("message"), "the message of the choice")


STORED_COMPLETION = Layout(
    "stored_completion",
    "request and response of a chat completion, or a chat.completion with its messages",
    _fits,
    _draft,
    frozenset({"request", "response", *_READ, *_COMPLETION}),
    _split,
)
