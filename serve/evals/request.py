"""Bodies of /v1/evals, checked before anything is written down."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data.graders.grader import read_grader
from data.graders.paths import check_template
from data.section import Section
from data.user_error import UserError
from serve.storage.ids import random_text
from serve.transport.errors import ApiError, invalid_value, not_supported
from serve.transport.metadata import checked_metadata

MAX_TOOLS = 128
STORED_SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["item", "sample"],
    "properties": {
        "item": {"type": "object", "properties": {"input": {"type": "array"}, "tools": {"type": "array"}}},
        "sample": {"type": "object"},
    },
}  # fmt: skip
"""What graders find in a stored completion."""


class EvalRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data_source_config: dict[str, Any]
    testing_criteria: Annotated[list[dict[str, Any]], Field(min_length=1)]
    name: str | None = None
    metadata: Any = None


class EvalUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    metadata: Any = None


class RunRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data_source: dict[str, Any]
    name: str | None = None
    metadata: Any = None


class FileSource(Section):
    type: Literal["file_id"]
    id: str


class GivenRow(Section):
    item: dict[str, Any]
    sample: dict[str, Any] | None = None


class ContentSource(Section):
    type: Literal["file_content"]
    content: Annotated[list[GivenRow], Field(min_length=1)]


class StoredSource(Section):
    """Completions that were stored: their messages become `item.input`, their answers `sample`."""

    type: Literal["stored_completions"]
    metadata: dict[str, str] | None = None
    model: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


Rows = Annotated[FileSource | ContentSource, Field(discriminator="type")]
Source = Annotated[FileSource | ContentSource | StoredSource, Field(discriminator="type")]


class TextPart(Section):
    type: Literal["input_text", "text"]
    text: str


class TemplateMessage(Section):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | TextPart
    type: Literal["message"] = "message"

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else self.content.text


class Template(Section):
    type: Literal["template"]
    template: Annotated[list[TemplateMessage], Field(min_length=1)]


class ItemReference(Section):
    type: Literal["item_reference"]
    item_reference: str
    """Path of the item's list of messages, such as item.messages."""


class JsonlSource(Section):
    type: Literal["jsonl"]
    source: Rows


class CompletionsSource(Section):
    """A model's answers to the source's items; of stored completions, without a model, the answers that were stored."""

    type: Literal["completions"]
    source: Source
    model: str | None = None
    input_messages: Annotated[Template | ItemReference, Field(discriminator="type")] | None = None
    sampling_params: dict[str, Any] | None = None

    @property
    def asks(self) -> bool:
        return self.model is not None


class RunSource(BaseModel):
    data_source: Annotated[JsonlSource | CompletionsSource, Field(discriminator="type")]


def checked_config(config: dict[str, Any]) -> dict[str, Any]:
    """As the answer has it: `item_schema` is called `schema` there. Raises ApiError."""
    kind = config.get("type")
    if kind in ("logs", "stored_completions"):  # the older name of the same
        metadata = checked_metadata(config.get("metadata"))
        return {"type": kind, "metadata": metadata, "schema": STORED_SCHEMA}
    if kind != "custom":
        raise not_supported(f"Evals on {kind!r} are not supported: use custom or logs", "data_source_config.type")
    if not isinstance(config.get("item_schema"), dict):
        raise invalid_value("data_source_config.item_schema", "item_schema must be a JSON Schema object")
    properties: dict[str, Any] = {"item": config["item_schema"]}
    if config.get("include_sample_schema"):
        properties["sample"] = {"type": "object"}
    return {"type": "custom", "schema": {"type": "object", "properties": properties, "required": list(properties)}}


def checked_criteria(criteria: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each with an id of its own. Raises ApiError for what cannot be run here."""
    for number, definition in enumerate(criteria):
        try:
            read_grader(definition, f"testing_criteria.{number}")
        except UserError as error:
            raise invalid_value(f"testing_criteria.{number}", f"{error.what} {error.fix or ''}".strip()) from error
    return [definition | {"id": f"{definition['name']}-{random_text(8)}"} for definition in criteria]


def checked_source(value: dict[str, Any]) -> JsonlSource | CompletionsSource:
    """Raises ApiError for what is not run here, and RequestValidationError's pydantic kin for a wrong form."""
    source = value.get("source")
    if "responses" in (value.get("type"), source.get("type") if isinstance(source, dict) else None):
        raise not_supported("This data source is not supported: use jsonl or completions", "data_source")
    checked = RunSource.model_validate({"data_source": value}).data_source
    if isinstance(checked, CompletionsSource):
        _check_asked(checked)
        _check_templates(checked)
        tools = (checked.sampling_params or {}).get("tools")
        if isinstance(tools, list) and len(tools) > MAX_TOOLS:
            raise invalid_value("data_source.sampling_params.tools", f"at most {MAX_TOOLS} tools")
    return checked


def _check_asked(source: CompletionsSource) -> None:
    is_stored = isinstance(source.source, StoredSource)
    if source.model is None and (not is_stored or source.input_messages or source.sampling_params):
        raise invalid_value("data_source.model", "a model is needed to answer the items")
    if source.input_messages is None and not is_stored:
        raise invalid_value("data_source.input_messages", "input_messages are needed: what is the model asked?")
    if is_stored and isinstance(source.source, StoredSource):
        checked_metadata(source.source.metadata)


def _check_templates(source: CompletionsSource) -> None:
    given = source.input_messages
    texts = [message.text for message in given.template] if isinstance(given, Template) else []
    texts += [f"{{{{{given.item_reference}}}}}"] if isinstance(given, ItemReference) else []
    for text in texts:
        try:
            check_template(text, "data_source.input_messages")
        except UserError as error:
            raise ApiError(
                400, error.what, param="data_source.input_messages", code="invalid_value"
            ) from error  # fmt: skip
