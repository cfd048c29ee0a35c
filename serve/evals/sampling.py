"""The rows of a run, and what the model answers to them."""

import json
from typing import Any, NamedTuple

from starlette.responses import Response

from data.graders.grader import sample_of
from data.graders.paths import fill, look_up
from data.strict_json import load_json
from data.user_error import UserError
from serve.chat.asking import Chat
from serve.chat.request import parse_chat_request
from serve.evals.request import CompletionsSource, ContentSource, FileSource, StoredSource, Template
from serve.storage.file_store import FileStore
from serve.transport.errors import ApiError


class EvalRow(NamedTuple):
    number: int
    """Stays the same when the run goes on after a kill."""
    item: dict[str, Any]
    sample: dict[str, Any]
    """Empty where the model is still to be asked, or the row has none."""


def rows_of(source: FileSource | ContentSource, files: FileStore) -> list[EvalRow]:
    """Raises UserError for a file that is gone or holds another kind of rows."""
    if isinstance(source, ContentSource):
        return [EvalRow(number, row.item, row.sample or {}) for number, row in enumerate(source.content)]
    try:
        text = b"".join(files.read(source.id)).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"No such File object: {source.id}", where="data_source") from error
    rows = [(number, load_json(line)) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("item"), dict):
            raise UserError(f"line {number} has no object under 'item'", where=source.id)
    return [EvalRow(number, row["item"], row.get("sample") or {}) for number, (_, row) in enumerate(rows)]


def messages_of(source: CompletionsSource, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises UserError for a template that finds nothing in the item."""
    given, namespaces = source.input_messages, {"item": item}
    if given is None:
        return list(item["input"])
    if isinstance(given, Template):
        return [{"role": message.role, "content": fill(message.text, namespaces)} for message in given.template]
    found = look_up(given.item_reference, namespaces)
    if not isinstance(found, list):
        raise UserError(f"{given.item_reference} is no list of messages", where="input_messages")
    return found


async def answered(chat: Chat, source: CompletionsSource, item: dict[str, Any], run: Any) -> dict[str, Any]:
    """The output item's `sample`, with an error in it where the model did not answer. Raises UserError."""
    messages = messages_of(source, item)
    body = {key: value for key, value in (source.sampling_params or {}).items() if value is not None}
    if isinstance(source.source, StoredSource) and item["tools"]:
        body = {"tools": item["tools"]} | body
    body |= {"model": source.model, "messages": messages, "stream": False}
    asked = {key: body.get(key) for key in ("temperature", "top_p", "seed", "max_completion_tokens")}
    sample = asked | {"model": source.model, "input": messages, "output": [], "finish_reason": None, "usage": None}
    try:
        request = parse_chat_request(json.dumps(body).encode())
        answer: Response = await chat.answer(request._replace(wants_store=False), run.project, run.id, None)
    except ApiError as error:
        return sample | {"error": {"code": str(error.body["error"]["code"]), "message": error.detail}}
    told = json.loads(bytes(answer.body))
    if answer.status_code != 200:
        return sample | {"error": {"code": str(told["error"]["code"]), "message": told["error"]["message"]}}
    choice = told["choices"][0]
    return sample | {
        "output": [choice["message"]], "finish_reason": choice["finish_reason"], "usage": told.get("usage"),
        "error": None,
    }  # fmt: skip


def graded_sample(sample: dict[str, Any]) -> dict[str, Any]:
    """What templates see as `sample`: of an answer its text and calls, of a row that brought one that itself."""
    return sample_of(sample["output"][0]) if sample.get("output") else sample
