"""One training or evaluation row, as the user wrote it: messages and tools in the OpenAI chat fine-tuning layout.

Nothing is rewritten here; `data.conversation` brings a row to the one form that is rendered.
Source of the layout: OpenAI's supervised fine-tuning guide and the SDK's chat completion types.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

JsonObject = dict[str, Any]
TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
ToolName = Annotated[str, StringConstraints(pattern=TOOL_NAME)]
Role = Literal["system", "developer", "user", "assistant", "tool"]


class Part(BaseModel):
    """One part of a content list; only text is taken, since the models served here read only text."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["text"]
    text: str


Content = str | Annotated[list[Part], Field(min_length=1)]


class FunctionCall(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: ToolName
    arguments: str | JsonObject
    """JSON text, as the API returns it, or the object itself."""


class ToolCall(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Role
    content: Content | None = None
    name: str | None = None
    weight: Literal[0, 1] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    # What the SDK dumps beside an answer: taken when empty, refused by the row rules when not.
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None

    @property
    def is_trained(self) -> bool:
        return self.role == "assistant" and self.weight != 0


class FunctionSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["function"]
    function: FunctionSpec


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    parallel_tool_calls: bool = True

    def tool_names(self) -> set[str]:
        return {tool.function.name for tool in self.tools or []}
