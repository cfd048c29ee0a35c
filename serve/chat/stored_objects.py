"""Stored completions as clients see them: the answer, and beside it what it was asked with."""

import json
from typing import Any

from serve.storage.tables import StoredCompletion

ASKED_WITH = (
    "tools", "tool_choice", "parallel_tool_calls", "seed", "temperature", "top_p", "presence_penalty",
    "frequency_penalty", "response_format",
)  # fmt: skip


def completion_object(stored: StoredCompletion) -> dict[str, Any]:
    request, answer = _loaded(stored)
    asked = {key: request.get(key) for key in ASKED_WITH}
    return asked | answer | {
        "id": stored.id, "object": "chat.completion", "model": answer.get("model") or stored.model,
        "request_id": stored.request_id, "input_user": request.get("user"), "metadata": stored.metadata_,
    }  # fmt: skip


def input_messages(stored: StoredCompletion) -> list[dict[str, Any]]:
    """The messages that the answer answers, each with an id; whatever keys they have stay."""
    request, _ = _loaded(stored)
    messages = [message if isinstance(message, dict) else {"content": message} for message in request["messages"]]
    return [message | _contents(message) | {"id": f"{stored.id}-{index}"} for index, message in enumerate(messages)]


def dump(stored: StoredCompletion) -> dict[str, Any]:
    """The line that `data.convert` reads."""
    request, answer = _loaded(stored)
    return {"request": request, "response": answer, "metadata": stored.metadata_}


def _contents(message: dict[str, Any]) -> dict[str, Any]:
    """A list of parts goes beside its text."""
    content = message.get("content")
    if not isinstance(content, list):
        return {"content": content, "content_parts": None}
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return {"content": "\n".join(texts), "content_parts": content}


def _loaded(stored: StoredCompletion) -> tuple[dict[str, Any], dict[str, Any]]:
    return json.loads(stored.request), json.loads(stored.response)
