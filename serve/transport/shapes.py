"""What answers look like, for the OpenAPI document: every object with all of its fields, as typed clients need them.

Answers are made by each area's `objects.py`; nothing is validated while the server runs. The tests hold the two
together.
"""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")
Metadata = dict[str, str] | None


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Open(BaseModel):
    """What a model server or provider answered is passed on whole, with whatever fields it has."""

    model_config = ConfigDict(extra="allow")


class ErrorDetail(Shape):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(Shape):
    error: ErrorDetail


class Listing(Shape, Generic[Item]):
    object: Literal["list"]
    data: list[Item]
    has_more: bool
    first_id: str | None
    last_id: str | None


class Deleted(Shape):
    id: str
    object: Literal["file", "model", "chat.completion.deleted"]
    deleted: Literal[True]


class FileShape(Shape):
    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: Literal["fine-tune", "evals", "user_data", "fine-tune-results"]
    status: Literal["processed"]
    status_details: str | None
    expires_at: int | None


class JobError(Shape):
    code: str | None
    message: str | None
    param: str | None


class JobShape(Shape):
    id: str
    object: Literal["fine_tuning.job"]
    created_at: int
    finished_at: int | None
    model: str
    base_model: str
    fine_tuned_model: str | None
    organization_id: str
    status: Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
    hyperparameters: dict[str, float | str] | None
    method: dict[str, Any]
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    error: JobError
    seed: int
    estimated_finish: int | None
    integrations: list[dict[str, Any]]
    metadata: Metadata
    user_provided_suffix: str | None
    usage_metrics: None
    shared_with_openai: Literal[False]
    evaluation: dict[str, Any] | None


class EventShape(Shape):
    id: str
    object: Literal["fine_tuning.job.event"]
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] | None


class CheckpointShape(Shape):
    id: str
    object: Literal["fine_tuning.job.checkpoint"]
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, Any]
    step_number: int


class ModelShape(Open):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(Shape):
    object: Literal["list"]
    data: list[ModelShape]


class Completion(Open):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]


class ModelResponse(Open):
    """An answer of the Responses API."""

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: str
    output: list[dict[str, Any]]


class StoredShape(Completion):
    request_id: str
    metadata: Metadata
    input_user: str | None
    tools: list[dict[str, Any]] | None
    tool_choice: Any
    seed: int | None


class StoredMessage(Open):
    id: str
    content: str | None
    content_parts: list[Any] | None


class EvalShape(Shape):
    id: str
    object: Literal["eval"]
    created_at: int
    name: str | None
    data_source_config: dict[str, Any]
    testing_criteria: list[dict[str, Any]]
    metadata: Metadata


class Counts(Shape):
    total: int
    passed: int
    failed: int
    errored: int


class RunShape(Shape):
    id: str
    object: Literal["eval.run"]
    eval_id: str
    created_at: int
    name: str | None
    status: Literal["queued", "in_progress", "completed", "canceled", "failed"]
    model: str | None
    data_source: dict[str, Any]
    metadata: Metadata
    error: dict[str, Any] | None
    report_url: str
    result_counts: Counts
    per_testing_criteria_results: list[dict[str, Any]] | None
    per_model_usage: list[dict[str, Any]] | None


class ItemShape(Shape):
    id: str
    object: Literal["eval.run.output_item"]
    created_at: int
    run_id: str
    eval_id: str
    datasource_item_id: int
    datasource_item: dict[str, Any]
    status: Literal["pass", "fail"]
    results: list[dict[str, Any]]
    sample: dict[str, Any]


class EvalDeleted(Shape):
    object: Literal["eval.deleted"]
    deleted: Literal[True]
    eval_id: str


class RunDeleted(Shape):
    object: Literal["eval.run.deleted"]
    deleted: Literal[True]
    run_id: str


class EngineState(Shape):
    model: str
    replica: str
    state: Literal["up", "down", "starting", "not started"]
    cause: str | None


class Health(Shape):
    status: Literal["ok"]
    engines: list[EngineState]


def answers(shape: Any, status: int = 200) -> dict[str, Any]:
    """Keyword arguments of a route: what it answers, said and not checked while it runs."""
    return {"status_code": status, "response_model": None, "responses": {status: {"model": shape}}}
