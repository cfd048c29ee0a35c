"""A request for an answer as far as this server has to understand it; the rest goes on as it came."""

import json
from typing import Any, Literal, NamedTuple

from data.strict_json import load_json
from serve.transport.errors import ApiError, invalid_value, not_supported
from serve.transport.metadata import checked_metadata

REFUSED = ("audio", "web_search_options", "moderation")
# What OpenAI's server knows and vLLM has no use for.
LEFT_OUT = (
    "store", "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
    "verbosity", "prediction", "modalities",
)  # fmt: skip
# Of the Responses API: conversations are not kept, nothing runs in the background, and prompts do not lie here.
KEPT_ELSEWHERE = ("previous_response_id", "conversation", "background", "prompt")
Api = Literal["chat/completions", "responses"]


class ChatRequest(NamedTuple):
    """Of chat completions, or of the Responses API."""

    raw: bytes
    body: dict[str, Any]
    model: str
    is_streamed: bool
    wants_store: bool
    metadata: dict[str, str]
    api: Api = "chat/completions"

    def for_engine(self, model: str) -> bytes:
        """The body that vLLM gets: under its own name of the model, without what it does not know."""
        if self.api == "responses":
            return json.dumps(self.body | {"model": model, "store": False}).encode()
        kept = {key: value for key, value in self.body.items() if key not in LEFT_OUT}
        return json.dumps(kept | {"model": model}).encode()


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Raises ApiError for a body that nobody could answer."""
    body = _parsed(raw, "messages")
    if not isinstance(body["messages"], list):
        raise invalid_value("messages", "has the wrong type")
    if not body["messages"] or not all(isinstance(message, dict) for message in body["messages"]):
        raise invalid_value("messages", "messages must be a list of one or more objects")
    if not isinstance(body.get("store"), bool | None):
        raise invalid_value("store", "store must be true or false")
    metadata = checked_metadata(body.get("metadata"))
    return ChatRequest(raw, body, body["model"], bool(body.get("stream")), bool(body.get("store")), metadata or {})


def parse_response_request(raw: bytes) -> ChatRequest:
    """The same of the Responses API. Its answers are not stored, whatever `store` says."""
    body = _parsed(raw, "input")
    if not isinstance(body["input"], str | list) or not body["input"]:
        raise invalid_value("input", "input must be a text or a list of one or more items")
    return ChatRequest(
        raw, body, body["model"], bool(body.get("stream")), wants_store=False, metadata={}, api="responses"
    )


def _parsed(raw: bytes, asked: str) -> dict[str, Any]:
    try:
        body = load_json(raw.decode())
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}", code="invalid_value") from error
    if not isinstance(body, dict):
        raise ApiError(400, "The body is no JSON object", code="invalid_value")
    for key in ("model", asked):
        if body.get(key) is None:
            message = f"Missing required parameter: {key!r}"
            raise ApiError(400, message, param=key, code="missing_required_parameter")
    if not isinstance(body["model"], str):
        raise invalid_value("model", "has the wrong type")
    if not isinstance(body.get("stream"), bool | None):
        raise invalid_value("stream", "stream must be true or false")
    return body


def require_supported(request: ChatRequest) -> None:
    """Raises ApiError for what no model here can do."""
    for key in REFUSED if request.api == "chat/completions" else KEPT_ELSEWHERE:
        if request.body.get(key) not in (None, False):
            raise not_supported(f"{key} is not supported", key)
    # A client's template would be run by the server, and the prompt would no longer be the trained one.
    given = request.body.get("chat_template_kwargs")
    for where, holder in (("", request.body), ("chat_template_kwargs.", given if isinstance(given, dict) else {})):
        if holder.get("chat_template") is not None:
            raise not_supported("A chat template of the request is not used", f"{where}chat_template")
    tools = request.body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "custom" or (request.api == "responses" and isinstance(kind, str) and kind != "function"):
            raise not_supported(f"{kind} tools are not supported", f"tools.{index}.type")
