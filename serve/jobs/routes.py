"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from data.strict_json import load_json
from serve.files.keeping import ENDED, sweep
from serve.jobs.creation import Repetition, create_job, repetition
from serve.jobs.happenings import tell
from serve.jobs.objects import checkpoint_object, event_object, job_object
from serve.jobs.request import JobRequest
from serve.storage.tables import Checkpoint, Event, Job
from serve.transport.context import Asking, Context, Here
from serve.transport.errors import ApiError
from serve.transport.lists import list_object, page, paging
from serve.transport.metadata import with_metadata
from serve.transport.openapi import body_schema
from serve.transport.shapes import CheckpointShape, EventShape, JobShape, Listing, answers
from serve.webhooks.outbox import announce

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])
BODY = {"requestBody": {"content": {"application/json": {"schema": body_schema(JobRequest)}}, "required": True}}


@router.post("", openapi_extra=BODY, **answers(JobShape))
async def create(
    here: Here,
    asking: Asking,
    request: Request,
    idempotency_key: Annotated[str | None, Header()] = None,
    x_stainless_retry_count: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Answers as soon as the job is written down; its files are looked at afterwards."""
    body = await request.body()
    again = repetition(body, idempotency_key, x_stainless_retry_count)
    return await run_in_threadpool(_create, here, asking.project, _parsed(body), again)


@router.get("", **answers(Listing[JobShape]))
def list_jobs(
    here: Here, asking: Asking, request: Request, after: str | None = None, limit: int = 20
) -> dict[str, Any]:
    rows = with_metadata(select(Job).where(Job.project == asking.project), Job, request.query_params)
    with here.database.read() as session:
        found = page(session, rows, Job, paging(after, limit, "desc"))
        return list_object([job_object(job) for job in found.items], has_more=found.has_more)


@router.get("/{job_id}", **answers(JobShape))
def retrieve(here: Here, asking: Asking, job_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        return job_object(find_job(session, asking.project, job_id))


@router.post("/{job_id}/cancel", **answers(JobShape))
def cancel(here: Here, asking: Asking, job_id: str) -> dict[str, Any]:
    """The worker ends the training within seconds; checkpoints that are written stay."""
    job = _move(here, asking.project, job_id, "cancelled", "cancel", ())
    sweep(here.database, here.files, job.files)
    return job_object(job)


@router.post("/{job_id}/pause", **answers(JobShape))
def pause(here: Here, asking: Asking, job_id: str) -> dict[str, Any]:
    return job_object(_move(here, asking.project, job_id, "paused", "pause", ("queued", "running")))


@router.post("/{job_id}/resume", **answers(JobShape))
def resume(here: Here, asking: Asking, job_id: str) -> dict[str, Any]:
    """The training goes on from its last checkpoint."""
    return job_object(_move(here, asking.project, job_id, "queued", "resume", ("paused",)))


@router.get("/{job_id}/events", **answers(Listing[EventShape]))
def list_events(here: Here, asking: Asking, job_id: str, after: str | None = None, limit: int = 20) -> dict[str, Any]:
    with here.database.read() as session:
        rows = select(Event).where(Event.job_id == find_job(session, asking.project, job_id).id)
        found = page(session, rows, Event, paging(after, limit, "desc"))
        return list_object([event_object(event) for event in found.items], has_more=found.has_more)


@router.get("/{job_id}/checkpoints", **answers(Listing[CheckpointShape]))
def list_checkpoints(
    here: Here, asking: Asking, job_id: str, after: str | None = None, limit: int = 10
) -> dict[str, Any]:
    with here.database.read() as session:
        rows = select(Checkpoint).where(Checkpoint.job_id == find_job(session, asking.project, job_id).id)
        found = page(session, rows, Checkpoint, paging(after, limit, "desc"))
        return list_object([checkpoint_object(item) for item in found.items], has_more=found.has_more)


def find_job(session: Session, project: str, job_id: str, *, to_change: bool = False) -> Job:
    """Raises ApiError when the project has no such job."""
    rows = select(Job).where(Job.project == project, Job.id == job_id)
    job = session.scalar(rows.with_for_update() if to_change else rows)
    if job is None:
        message = f"Could not find fine tune: {job_id}"
        raise ApiError(404, message, param="fine_tune_id", code="fine_tune_not_found")
    return job


def _parsed(body: bytes) -> JobRequest:
    try:
        return JobRequest.model_validate(load_json(body.decode()))
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {error}", code="invalid_value") from error


def _create(here: Context, project: str, body: JobRequest, again: Repetition) -> dict[str, Any]:
    try:
        with here.database.write() as session:
            return job_object(create_job(session, project, body, here.settings, again))
    except IntegrityError:  # the same idempotency key in two requests at once: the other one has made the job
        with here.database.write() as session:
            return job_object(create_job(session, project, body, here.settings, again))


def _move(here: Context, project: str, job_id: str, status: str, verb: str, allowed: tuple[str, ...]) -> Job:
    """Set the status, if the job's own allows it; no `allowed` stands for whatever has not ended."""
    with here.database.write() as session:
        job = find_job(session, project, job_id, to_change=True)
        if job.status in ENDED or (allowed and job.status not in allowed):
            message = f"Cannot {verb} job {job_id}: its status is {job.status}"
            raise ApiError(400, message, code="invalid_job_state")
        job.status = status
        if status == "cancelled":
            job.finished_at = int(time.time())
            announce(session, project, "fine_tuning.job.cancelled", job_id)
        words = {"cancelled": "cancelled", "paused": "paused", "queued": "resumed"}[status]
        tell(session, job_id, f"{words}-{time.time():.3f}", f"The job was {words}", data={})
        session.flush()
        return job
