"""A new job: one row, its metadata and its first event, in one transaction."""

import hashlib
import secrets
import time
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.api_settings import ApiSettings
from serve.files.routes import find_file
from serve.jobs.happenings import tell
from serve.jobs.objects import NO_ERROR
from serve.jobs.request import MAX_SEED, JobRequest, checked_integrations, file_error, method_of
from serve.storage.ids import new_id
from serve.storage.tables import Job, Model
from serve.transport.errors import ApiError, invalid_value
from serve.transport.metadata import checked_metadata, set_pairs

REPEATED_WITHIN_S = 60


class Repetition(NamedTuple):
    """How to tell that a client sends a request again whose answer it never got."""

    body_sha256: str
    idempotency_key: str | None
    is_retry: bool
    """The client says that it tries again (x-stainless-retry-count)."""


class Start(NamedTuple):
    base: str
    tuned: str | None
    """The tuned model to go on from."""


def repetition(body: bytes, idempotency_key: str | None, retry_count: str | None) -> Repetition:
    is_retry = retry_count is not None and retry_count.isdigit() and int(retry_count) > 0
    return Repetition(hashlib.sha256(body).hexdigest(), (idempotency_key or "")[:255] or None, is_retry)


def create_job(session: Session, project: str, request: JobRequest, settings: ApiSettings, again: Repetition) -> Job:
    """The new job, or the one that the same request has already made."""
    if made := _made_before(session, project, again):
        return made
    method, metadata = method_of(request), checked_metadata(request.metadata)
    integrations = checked_integrations(request.integrations)
    if request.local and (request.local.r or 0) > settings.max_lora_rank:
        raise invalid_value("local.r", f"adapters of rank {settings.max_lora_rank} at most are served here")
    start = starting_point(session, project, request.model, settings)
    for field in ("training_file", "validation_file"):
        _require_file(session, project, field, getattr(request, field))
    job = Job(
        id=new_id("ftjob-"), project=project, created_at=int(time.time()), status="validating_files",
        model=request.model, base_model=start.base, start_from=start.tuned, method=method,
        training_file=request.training_file, validation_file=request.validation_file, result_files=[],
        error=NO_ERROR, seed=secrets.randbelow(MAX_SEED) if request.seed is None else request.seed,
        suffix=request.suffix, metadata_=metadata, integrations={"list": integrations},
        local=request.local.model_dump(exclude_none=True) if request.local else {},
        body_sha256=again.body_sha256, idempotency_key=again.idempotency_key,
    )  # fmt: skip
    session.add(job)
    session.flush()
    set_pairs(session, job.id, metadata)
    tell(session, job.id, "created", f"Created fine-tuning job: {job.id}", data={})
    if start.base != request.model and not start.tuned:
        message = f"The model name {request.model!r} stands for the base model {start.base!r} here"
        tell(session, job.id, "alias", message, level="warn", data={})
    if integrations:
        tell(session, job.id, "integrations", "Integrations are not supported and do nothing", level="warn", data={})
    return job


def starting_point(session: Session, project: str, name: str, settings: ApiSettings) -> Start:
    """What `model` of a job stands for. Raises ApiError for a model that cannot be tuned."""
    target = name if name in settings.bases else settings.base_of_alias(name) or name
    if target in settings.bases:
        return Start(target, None)
    tuned = session.scalar(select(Model).where(Model.project == project, Model.id == target))
    if tuned is not None:
        return Start(tuned.base_model, tuned.id)
    known = ", ".join([*settings.bases, *settings.aliases]) or "none"
    message = f"Model {name} is not available for fine-tuning or does not exist. Available models: {known}"
    raise ApiError(400, message, param="model", code="model_not_available")


def _made_before(session: Session, project: str, again: Repetition) -> Job | None:
    mine = select(Job).where(Job.project == project)
    if again.idempotency_key:
        found = session.scalar(mine.where(Job.idempotency_key == again.idempotency_key))
        if found is not None and found.body_sha256 != again.body_sha256:
            raise ApiError(400, "This idempotency key was used with another request", code="invalid_value")
        return found
    if not again.is_retry:
        return None
    recent = mine.where(Job.body_sha256 == again.body_sha256, Job.created_at >= time.time() - REPEATED_WITHIN_S)
    return session.scalar(recent.order_by(Job.seq.desc()).limit(1))


def _require_file(session: Session, project: str, field: str, file_id: str | None) -> None:
    if file_id is None:
        return
    try:
        file = find_file(session, project, file_id)
    except ApiError as error:
        raise file_error(field, file_id, None) from error
    if file.purpose != "fine-tune":
        raise file_error(field, file_id, file.purpose)
