"""What the fine-tuning API keeps. Objects are listed in the order of `seq`: creation times have only seconds."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# SQLite counts up only a column that is declared as INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    type_annotation_map = {
        dict[str, Any]: JSON, list[dict[str, Any]]: JSON, list[str]: JSON, dict[str, str]: JSON, str: String,
        bytes: LargeBinary,
    }  # fmt: skip


class Listed:
    """What clients list."""

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]


class Owned(Listed):
    project: Mapped[str] = mapped_column(index=True)
    """Whose it is: keys of other projects do not see it."""


class ApiKey(Base):
    __tablename__ = "api_keys"
    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    """Of the key, which itself is not kept. It is random, so a slow hash would add nothing."""
    project: Mapped[str]
    """Keys of one project see the same files, jobs, models and completions, and no others."""
    requests_per_minute: Mapped[int | None]
    created_at: Mapped[int]


class RateBucket(Base):
    """What a key with a limit may still ask, in all API processes together."""

    __tablename__ = "rate_buckets"
    key: Mapped[str] = mapped_column(primary_key=True)
    """Its name."""
    left: Mapped[float] = mapped_column(Float)
    at: Mapped[float] = mapped_column(Float)


class File(Owned, Base):
    """`id` is also the name of its bytes in the file store."""

    __tablename__ = "files"
    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str]
    status_details: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[int | None]


class Job(Owned, Base):
    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("project", "idempotency_key"), Index("jobs_by_body", "project", "body_sha256"))
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    status: Mapped[str] = mapped_column(index=True)
    model: Mapped[str]
    """As the client wrote it: a base, an alias or a tuned model."""
    base_model: Mapped[str]
    start_from: Mapped[str | None]
    """The tuned model that the training goes on from."""
    fine_tuned_model: Mapped[str | None]
    method: Mapped[dict[str, Any]]
    """`type` and its hyperparameters, "auto" replaced by numbers once they are known."""
    training_file: Mapped[str]
    validation_file: Mapped[str | None]
    result_files: Mapped[list[str]]
    trained_tokens: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[dict[str, Any]]
    seed: Mapped[int]
    suffix: Mapped[str | None]
    metadata_: Mapped[dict[str, str] | None] = mapped_column("metadata")
    integrations: Mapped[dict[str, Any] | None]
    local: Mapped[dict[str, Any]]
    evaluation: Mapped[dict[str, Any] | None]
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int | None]
    estimated_finish: Mapped[int | None]
    body_sha256: Mapped[str]
    idempotency_key: Mapped[str | None]
    worker: Mapped[str | None]
    """The name of the worker that holds the job; it stays until its training has ended, whatever the status says."""
    lease_until: Mapped[float | None] = mapped_column(Float)
    """A worker that has not renewed by then is dead."""
    attempts: Mapped[int] = mapped_column(default=0)

    @property
    def files(self) -> list[str]:
        """Ids of the files that it reads."""
        return [self.training_file, *([self.validation_file] if self.validation_file else [])]


class Event(Listed, Base):
    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("job_id", "key"),)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    key: Mapped[str]
    """What happened, such as `step-7`: a resumed training tells nothing twice."""
    level: Mapped[str]
    type: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any] | None]


class Checkpoint(Listed, Base):
    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "step_number"),)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    model: Mapped[str]
    step_number: Mapped[int]
    metrics: Mapped[dict[str, Any]]


class Model(Owned, Base):
    """A tuned model or a checkpoint; base models and aliases are settings."""

    __tablename__ = "models"
    base_model: Mapped[str]
    job_id: Mapped[str]
    base: Mapped[str]
    """Folder of the weights that the adapter belongs to."""
    adapter: Mapped[str]
    """Folder of its LoRA adapter."""


class StoredCompletion(Owned, Base):
    __tablename__ = "stored_completions"
    model: Mapped[str]
    request_id: Mapped[str]
    request: Mapped[bytes]
    """The request's body, byte for byte unless it was redacted."""
    response: Mapped[bytes]
    """The answer as JSON; of a stream, put together from its chunks."""
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")


class MetadataPair(Base):
    """One pair of an object's metadata, to search by."""

    __tablename__ = "metadata_pairs"
    owner: Mapped[str] = mapped_column(primary_key=True)
    """Id of a job or a stored completion."""
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class WebhookEvent(Owned, Base):
    """An event that the webhook has not taken yet."""

    __tablename__ = "webhook_events"
    type: Mapped[str]
    object_id: Mapped[str]
    """Of the job that it tells of."""
    attempts: Mapped[int]
    next_attempt_at: Mapped[float] = mapped_column(Float, index=True)


class Eval(Owned, Base):
    __tablename__ = "evals"
    name: Mapped[str | None]
    data_source_config: Mapped[dict[str, Any]]
    testing_criteria: Mapped[list[dict[str, Any]]]
    """Graders, each with its `id`."""
    metadata_: Mapped[dict[str, str] | None] = mapped_column("metadata")


class EvalRun(Owned, Base):
    __tablename__ = "eval_runs"
    eval_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(index=True)
    model: Mapped[str | None]
    data_source: Mapped[dict[str, Any]]
    metadata_: Mapped[dict[str, str] | None] = mapped_column("metadata")
    error: Mapped[dict[str, Any] | None]
    lease_until: Mapped[float] = mapped_column(Float)
    """Until then the API process that runs it is alive; afterwards another one goes on with it."""


class EvalItem(Listed, Base):
    __tablename__ = "eval_items"
    __table_args__ = (UniqueConstraint("run_id", "datasource_item_id"),)
    run_id: Mapped[str] = mapped_column(index=True)
    datasource_item_id: Mapped[int]
    datasource_item: Mapped[dict[str, Any]]
    status: Mapped[str]
    """pass, fail or error: not graded, because the model gave no answer."""
    results: Mapped[list[dict[str, Any]]]
    sample: Mapped[dict[str, Any]]
