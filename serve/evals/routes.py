"""/v1/evals: evals, their runs, and the items of a run."""

import time
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.evals.objects import eval_object, item_object, run_object
from serve.evals.request import (
    CompletionsSource,
    EvalRequest,
    EvalUpdate,
    FileSource,
    RunRequest,
    checked_config,
    checked_criteria,
    checked_source,
)  # fmt: skip
from serve.files.routes import find_file
from serve.storage.ids import new_id
from serve.storage.tables import Eval, EvalItem, EvalRun
from serve.transport.context import Asking, Here
from serve.transport.errors import ApiError, invalid_value
from serve.transport.lists import list_object, page, paging
from serve.transport.metadata import checked_metadata
from serve.transport.shapes import EvalDeleted, EvalShape, ItemShape, Listing, RunDeleted, RunShape, answers
from serve.webhooks.outbox import announce

router = APIRouter(prefix="/v1/evals", tags=["evals"])
OPEN = ("queued", "in_progress")


@router.post("", **answers(EvalShape, 201))
def create(here: Here, asking: Asking, body: EvalRequest) -> dict[str, Any]:
    made = Eval(
        id=new_id("eval_"), project=asking.project, created_at=int(time.time()), name=body.name,
        data_source_config=checked_config(body.data_source_config),
        testing_criteria=checked_criteria(body.testing_criteria), metadata_=checked_metadata(body.metadata),
    )  # fmt: skip
    with here.database.write() as session:
        session.add(made)
    return eval_object(made)


@router.get("", **answers(Listing[EvalShape]))
def list_evals(
    here: Here, asking: Asking, after: str | None = None, limit: int = 20, order: str = "asc",
    order_by: str = "created_at",
) -> dict[str, Any]:  # fmt: skip
    if order_by != "created_at":
        raise invalid_value("order_by", "order_by must be created_at")
    rows = select(Eval).where(Eval.project == asking.project)
    with here.database.read() as session:
        found = page(session, rows, Eval, paging(after, limit, order))
        return list_object([eval_object(each) for each in found.items], has_more=found.has_more)


@router.get("/{eval_id}", **answers(EvalShape))
def retrieve(here: Here, asking: Asking, eval_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        return eval_object(_find_eval(session, asking.project, eval_id))


@router.post("/{eval_id}", **answers(EvalShape))
def update(here: Here, asking: Asking, eval_id: str, body: EvalUpdate) -> dict[str, Any]:
    with here.database.write() as session:
        made = _find_eval(session, asking.project, eval_id)
        if "name" in body.model_fields_set:
            made.name = body.name
        if "metadata" in body.model_fields_set:
            made.metadata_ = checked_metadata(body.metadata)
        return eval_object(made)


@router.delete("/{eval_id}", **answers(EvalDeleted))
def delete(here: Here, asking: Asking, eval_id: str) -> dict[str, Any]:
    """With its runs and their items."""
    with here.database.write() as session:
        session.delete(_find_eval(session, asking.project, eval_id))
        runs = select(EvalRun.id).where(EvalRun.eval_id == eval_id)
        session.execute(delete_rows(EvalItem).where(EvalItem.run_id.in_(runs)))
        session.execute(delete_rows(EvalRun).where(EvalRun.eval_id == eval_id))
    return {"object": "eval.deleted", "deleted": True, "eval_id": eval_id}


@router.post("/{eval_id}/runs", **answers(RunShape, 201))
def create_run(here: Here, asking: Asking, eval_id: str, body: RunRequest) -> dict[str, Any]:
    try:
        source = checked_source(body.data_source)
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error
    run = EvalRun(
        id=new_id("evalrun_"), project=asking.project, created_at=int(time.time()), eval_id=eval_id, name=body.name,
        status="queued", model=source.model if isinstance(source, CompletionsSource) else None,
        data_source=body.data_source, metadata_=checked_metadata(body.metadata), lease_until=0.0,
    )  # fmt: skip
    with here.database.write() as session:
        _find_eval(session, asking.project, eval_id)
        if isinstance(source.source, FileSource):
            find_file(session, asking.project, source.source.id)
        session.add(run)
        session.flush()
        return run_object(session, run)


@router.get("/{eval_id}/runs", **answers(Listing[RunShape]))
def list_runs(
    here: Here, asking: Asking, eval_id: str, after: str | None = None, limit: int = 20, order: str = "asc",
    status: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    with here.database.read() as session:
        rows = select(EvalRun).where(EvalRun.eval_id == _find_eval(session, asking.project, eval_id).id)
        rows = rows.where(EvalRun.status == status) if status is not None else rows
        found = page(session, rows, EvalRun, paging(after, limit, order))
        return list_object([run_object(session, run) for run in found.items], has_more=found.has_more)


@router.get("/{eval_id}/runs/{run_id}", **answers(RunShape))
def retrieve_run(here: Here, asking: Asking, eval_id: str, run_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        return run_object(session, _find_run(session, asking.project, eval_id, run_id))


@router.post("/{eval_id}/runs/{run_id}", **answers(RunShape))
@router.post("/{eval_id}/runs/{run_id}/cancel", **answers(RunShape))
def cancel_run(here: Here, asking: Asking, eval_id: str, run_id: str) -> dict[str, Any]:
    """The specification has the one address, the SDK asks the other."""
    with here.database.write() as session:
        run = _find_run(session, asking.project, eval_id, run_id)
        if run.status not in OPEN:
            raise ApiError(400, f"Cannot cancel run {run_id}: its status is {run.status}", code="invalid_run_state")
        run.status = "canceled"
        announce(session, asking.project, "eval.run.canceled", run_id)
        return run_object(session, run)


@router.delete("/{eval_id}/runs/{run_id}", **answers(RunDeleted))
def delete_run(here: Here, asking: Asking, eval_id: str, run_id: str) -> dict[str, Any]:
    with here.database.write() as session:
        session.delete(_find_run(session, asking.project, eval_id, run_id))
        session.execute(delete_rows(EvalItem).where(EvalItem.run_id == run_id))
    return {"object": "eval.run.deleted", "deleted": True, "run_id": run_id}


@router.get("/{eval_id}/runs/{run_id}/output_items", **answers(Listing[ItemShape]))
def list_items(
    here: Here, asking: Asking, eval_id: str, run_id: str, after: str | None = None, limit: int = 20,
    order: str = "asc", status: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    if status not in (None, "pass", "fail"):
        raise invalid_value("status", "status must be pass or fail")
    with here.database.read() as session:
        run = _find_run(session, asking.project, eval_id, run_id)
        rows = select(EvalItem).where(EvalItem.run_id == run_id)
        if status is not None:
            rows = rows.where((EvalItem.status == "pass") == (status == "pass"))
        found = page(session, rows, EvalItem, paging(after, limit, order))
        return list_object([item_object(run, item) for item in found.items], has_more=found.has_more)


@router.get("/{eval_id}/runs/{run_id}/output_items/{item_id}", **answers(ItemShape))
def retrieve_item(here: Here, asking: Asking, eval_id: str, run_id: str, item_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        run = _find_run(session, asking.project, eval_id, run_id)
        item = session.scalar(select(EvalItem).where(EvalItem.run_id == run_id, EvalItem.id == item_id))
        if item is None:
            raise ApiError(404, f"No such output item: {item_id}", param="output_item_id", code="not_found")
        return item_object(run, item)


def _find_eval(session: Session, project: str, eval_id: str) -> Eval:
    made = session.scalar(select(Eval).where(Eval.project == project, Eval.id == eval_id))
    if made is None:
        raise ApiError(404, f"No eval with id {eval_id}", param="eval_id", code="not_found")
    return made


def _find_run(session: Session, project: str, eval_id: str, run_id: str) -> EvalRun:
    mine = (EvalRun.project == project, EvalRun.eval_id == eval_id, EvalRun.id == run_id)
    run = session.scalar(select(EvalRun).where(*mine))
    if run is None:
        raise ApiError(404, f"No eval run with id {run_id}", param="run_id", code="not_found")
    return run
