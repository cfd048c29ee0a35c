"""One training or evaluation row, as the user wrote it: messages and tools in the OpenAI chat fine-tuning layout.

Nothing is rewritten here; `data.conversation` brings a row to the one form that is rendered.
Source of the layout: OpenAI's supervised fine-tuning guide and the SDK's chat completion types.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StrictBool, StringConstraints, Tag

JsonObject = dict[str, Any]
TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
ToolName = Annotated[str, StringConstraints(pattern=TOOL_NAME)]
Role = Literal["system", "developer", "user", "assistant", "tool"]

# pydantic names the branch of a union in a fault's location. These names cannot be taken for keys of a row, and one
# branch is chosen beforehand, so that a fault is told once and not for every branch.
BRANCHES = TEXT, PARTS, OBJECT, TEXT_PART, REFUSAL_PART = ("<text>", "<parts>", "<object>", "<text part>", "<refusal>")


def _content_branch(value: Any) -> str:
    return PARTS if isinstance(value, list) else TEXT


def _part_branch(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return REFUSAL_PART if kind == "refusal" else TEXT_PART


def _arguments_branch(value: Any) -> str:
    return OBJECT if isinstance(value, dict) else TEXT


def _integer(value: Any) -> Any:
    """A Literal takes true and 1.0 for 1."""
    return value if type(value) is int else repr(value)


class Part(BaseModel):
    """One part of a content list; only text is taken, since the models served here read only text."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["text"]
    text: str


class RefusalPart(BaseModel):
    """Of the assistant alone, and alone in its list."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


AnyPart = Annotated[
    Annotated[Part, Tag(TEXT_PART)] | Annotated[RefusalPart, Tag(REFUSAL_PART)], Discriminator(_part_branch)
]
Content = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[list[AnyPart], Field(min_length=1), Tag(PARTS)],
    Discriminator(_content_branch),
]


class FunctionCall(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: ToolName
    arguments: Annotated[
        Annotated[str, Tag(TEXT)] | Annotated[JsonObject, Tag(OBJECT)], Discriminator(_arguments_branch)
    ]
    """JSON text, as the API returns it, or the object itself."""


class ToolCall(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"]
    function: FunctionCall


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Role
    content: Content | None = None
    name: str | None = None
    weight: Annotated[Literal[0, 1], BeforeValidator(_integer)] | None = None
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
    strict: StrictBool | None = None


class Tool(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["function"]
    function: FunctionSpec


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    parallel_tool_calls: StrictBool = True

    def tool_names(self) -> set[str]:
        return {tool.function.name for tool in self.tools or []}
