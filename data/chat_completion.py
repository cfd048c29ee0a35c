"""A chat completion as an OpenAI-compatible endpoint sends it, read as leniently as a client can.

Own classes, since the SDK builds its own without validation and takes no finish_reason it does not know.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError


class Function(BaseModel):
    name: str
    arguments: str | dict[str, Any] = ""


class ToolCall(BaseModel):
    id: str | None = None
    function: Function


class AssistantMessage(BaseModel):
    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """What a reasoning parser has taken out of the content, under either name."""


class Choice(BaseModel):
    message: AssistantMessage
    finish_reason: str | None = None


class Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(BaseModel):
    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: Usage | None = None


def read_completion(body: bytes) -> Completion:
    """Raises ValueError, in one line, for a body that is no chat completion."""
    try:
        return Completion.model_validate_json(body)
    except ValidationError as error:
        start = body[:80].decode(errors="replace")
        reason = f"garbage instead of a chat completion ({error.errors()[0]['msg']}): {start!r}"
        raise ValueError(reason) from error
