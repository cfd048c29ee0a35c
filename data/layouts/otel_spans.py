"""OpenTelemetry GenAI spans: a model call's messages and tools, as span attributes.

    {"attributes": {"gen_ai.input.messages": "[...]", "gen_ai.output.messages": "[...]",
     "gen_ai.system_instructions": "[...]", "gen_ai.tool.definitions": "[...]"}}

Read as one span a record, its attributes as a map or as OTLP's list, or as an OTLP JSON export (`resourceSpans`); the
values as JSON text or as structures. Source: OpenTelemetry's semantic conventions for generative AI, development
status, and the JSON encoding of OTLP.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from data.layouts.draft import Draft
from data.layouts.layout import Layout
from data.layouts.literal import json_text
from data.layouts.openai_chat import draft_chat
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.row import JsonObject
from data.strict_json import load_json

_SYSTEM, _INPUT = "gen_ai.system_instructions", "gen_ai.input.messages"
_OUTPUT, _TOOLS = "gen_ai.output.messages", "gen_ai.tool.definitions"
_READ = {_SYSTEM, _INPUT, _OUTPUT, _TOOLS}


def _fits(record: JsonObject) -> bool:
    if "attributes" in record and {"traceId", "spanId", "trace_id", "span_id", "context"} & set(record):
        return True
    return any(isinstance(key, str) and key.startswith("gen_ai.") for key in _keys(record))


def _keys(record: JsonObject) -> Iterable[Any]:
    attributes = record.get("attributes", record)
    if isinstance(attributes, list):
        return [item.get("key") for item in attributes if isinstance(item, dict)]
    return attributes if isinstance(attributes, dict) else []


def _split(record: JsonObject) -> Iterator[JsonObject]:
    """The spans of an OTLP export, in its order; any other record is one span."""
    if not isinstance(record.get("resourceSpans"), list):
        yield record
        return
    for resource in record["resourceSpans"]:
        for scope in resource.get("scopeSpans") or [] if isinstance(resource, dict) else []:
            for span in scope.get("spans") or [] if isinstance(scope, dict) else []:
                yield span if isinstance(span, dict) else {}


def _draft(record: JsonObject) -> Draft:
    attributes = _attributes(record)
    if _OUTPUT not in attributes or _INPUT not in attributes:
        missing = _INPUT if _INPUT not in attributes else _OUTPUT
        raise RecordError("no_content", f"the span has no {missing}", "record contents, or leave the span out")
    answers = as_list(_value(attributes[_OUTPUT], _OUTPUT), _OUTPUT)
    if len(answers) != 1:
        raise RecordError("alternatives", f"the span has {len(answers)} answers, a row has one", "keep one")
    if (reason := as_object(answers[0], "the answer").get("finish_reason")) in ("length", "content_filter", "error"):
        raise RecordError("cut_off", f"the answer ended for {reason}", "leave it out, or complete it")
    system = as_list(_value(attributes[_SYSTEM], _SYSTEM), _SYSTEM) if _SYSTEM in attributes else []
    messages = [{"role": "system", "parts": system}] if system else []
    messages += as_list(_value(attributes[_INPUT], _INPUT), _INPUT)
    said = [as_object(item, "a message") for item in [*messages, *answers]]
    chat: JsonObject = {"messages": [message for item in said for message in _messages(item)]}
    if _TOOLS in attributes:
        chat["tools"] = _value(attributes[_TOOLS], _TOOLS)
    draft = draft_chat(chat)
    draft.notes["reasoning left out"] += sum(_count_reasoning(item) for item in said)
    if rest := set(attributes) - _READ:
        draft.notes["other span attributes left out"] += len(rest)
    return draft


def _attributes(record: JsonObject) -> JsonObject:
    attributes = record.get("attributes", record)
    if not isinstance(attributes, list):
        return as_object(attributes, "attributes")
    return {key: _any_value(value) if key in _READ else value for key, value in _pairs(attributes).items()}


def _pairs(items: list[Any]) -> JsonObject:
    pairs = [as_object(item, "a pair of key and value") for item in items]
    found = {as_text(pair.get("key"), "key"): pair.get("value") for pair in pairs}
    if len(found) < len(pairs):
        raise RecordError("form", "a key comes twice in one list of pairs", "export the spans anew")
    return found


def _any_value(value: Any) -> Any:
    """OTLP's tagged value as it is in JSON; 64-bit integers travel as text."""
    match value:
        case {"stringValue": str(text)}:
            return text
        case {"boolValue": bool(flag)}:
            return flag
        case {"intValue": int() | str() as number} if re.fullmatch("-?[0-9]{1,19}", str(number)):
            return int(number)
        case {"doubleValue": int() | float() as number}:
            return number
        case {"arrayValue": {"values": list(items)}}:
            return [_any_value(item) for item in items]
        case {"arrayValue": {}}:
            return []
        case {"kvlistValue": {"values": list(items)}}:
            return {key: _any_value(value) for key, value in _pairs(items).items()}
        case {"kvlistValue": {}}:
            return {}
    raise RecordError("form", f"{str(value)[:60]} is no attribute value of OTLP", "export the spans anew")


def _value(value: Any, what: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return load_json(value)
    except ValueError as error:
        raise RecordError(
            "unreadable", f"{what} is not JSON, perhaps cut off: {error}", "raise the SDK's limit"
        ) from error


def _messages(item: JsonObject) -> Iterator[JsonObject]:
    """One message of parts as OpenAI messages: each result is a message of its own."""
    said: list[str] = []
    calls: list[JsonObject] = []
    results: list[JsonObject] = []
    for found in as_list(item.get("parts"), "parts"):
        part = as_object(found, "a part")
        kind = part.get("type")
        if kind == "text":
            if calls:
                raise RecordError("order", "text stands behind a call", "put the text before the calls")
            said.append(as_text(part.get("content"), "the content of a part"))
        elif kind == "tool_call":
            arguments = part["arguments"] if part.get("arguments") is not None else {}
            function = {"name": part.get("name"), "arguments": arguments}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind == "tool_call_response":
            response = part["response"] if "response" in part else part.get("result")
            text = response if isinstance(response, str) else json_text(response)
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": text})
        elif kind != "reasoning":
            raise RecordError("form", f"a part has the type {kind!r}", "text and tool calls are read")
    if results and (said or calls):
        raise RecordError("order", "a message holds results and other parts", "give results a message of their own")
    if results:
        yield from results
    else:
        message = {"role": item.get("role"), "content": "\n".join(said) if said or not calls else None}
        yield message | ({"tool_calls": calls} if calls else {})


def _count_reasoning(item: JsonObject) -> int:
    return sum(part.get("type") == "reasoning" for part in item["parts"])


OTEL_SPANS = Layout(
    "otel",
    "OpenTelemetry spans with gen_ai.input.messages and gen_ai.output.messages, one a line or an OTLP JSON export",
    _fits,
    _draft,
    frozenset({"attributes"}),
    _split,
)
