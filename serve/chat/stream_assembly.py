"""The answer that a stream was made of: its chunks put together into one chat completion, with nothing left out."""

import json
from typing import Any

DONE = b"data: [DONE]"
_JOINED = {"content", "refusal", "arguments", "reasoning", "reasoning_content"}


def assemble(stream: bytes) -> dict[str, Any] | None:
    """The completion, or None for a stream that did not come to its end or told an error."""
    chunks = [json.loads(data) for data in _data(stream) if data != "[DONE]"]
    if DONE not in stream or not chunks or any("error" in chunk for chunk in chunks):
        return None
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        # Usage is null in every chunk but the last one.
        whole |= {key: value for key, value in chunk.items() if value is not None or key not in whole}
        for choice in chunk.get("choices") or []:
            _add_choice(choices.setdefault(choice["index"], {"index": choice["index"], "message": {}}), choice)
    return whole | {"object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _data(stream: bytes) -> list[str]:
    """The data of each server-sent event."""
    events = stream.replace(b"\r\n", b"\n").split(b"\n\n")
    lines = [[line for line in event.split(b"\n") if line.startswith(b"data:")] for event in events]
    return [b"\n".join(line[5:].strip() for line in found).decode() for found in lines if found]


def _add_choice(choice: dict[str, Any], chunk: dict[str, Any]) -> None:
    for key, value in chunk.items():
        if key == "delta":
            _merge(choice["message"], value or {})
        elif key == "logprobs" and value and choice.get("logprobs"):
            _add_logprobs(choice["logprobs"], value)
        elif key not in choice or value is not None:
            choice[key] = value


def _merge(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        before = message.get(key)
        if key in _JOINED and isinstance(value, str) and isinstance(before, str):
            message[key] = before + value
        elif key == "tool_calls" and isinstance(value, list):
            calls = message[key] = before if isinstance(before, list) else []
            for call in value:
                _merge_call(calls, call)
        elif isinstance(value, dict) and isinstance(before, dict):
            _merge(before, value)
        elif key not in message or value is not None:
            message[key] = value


def _merge_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    number = part.get("index", 0)
    while len(calls) <= number:
        calls.append({})
    _merge(calls[number], {key: value for key, value in part.items() if key != "index"})


def _add_logprobs(logprobs: dict[str, Any], more: dict[str, Any]) -> None:
    for key, values in more.items():
        if isinstance(values, list) and isinstance(logprobs.get(key), list):
            logprobs[key] += values
        else:
            logprobs[key] = values
