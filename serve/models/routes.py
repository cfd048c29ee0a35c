"""/v1/models: bases, aliases, tuned models and checkpoints."""

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from serve.chat.asking import Chat
from serve.storage.tables import Model
from serve.transport.context import Asking, Context, Here
from serve.transport.errors import ApiError, invalid_value
from serve.transport.shapes import Deleted, Models, ModelShape, answers

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", **answers(Models))
def list_models(here: Here, asking: Asking) -> dict[str, Any]:
    with here.database.read() as session:
        tuned = session.scalars(select(Model).where(Model.project == asking.project).order_by(Model.seq.desc())).all()
    named = [name for name in here.settings.aliases if not name.endswith("*")]
    fixed = [_object(name, 0, "system") for name in (*here.settings.bases, *named)]
    return {"object": "list", "data": [*fixed, *(_tuned(model) for model in tuned)]}


@router.get("/{name:path}", **answers(ModelShape))
def retrieve(here: Here, asking: Asking, name: str) -> dict[str, Any]:
    if name in here.settings.bases or here.settings.base_of_alias(name):
        return _object(name, 0, "system")
    with here.database.read() as session:
        model = session.scalar(select(Model).where(Model.project == asking.project, Model.id == name))
    if model is None:
        raise _no_such_model(name)
    return _tuned(model)


@router.delete("/{name:path}", **answers(Deleted))
async def delete(here: Here, asking: Asking, request: Request, name: str) -> dict[str, Any]:
    """Unloads the adapter and deletes its files; the job and its events stay."""
    if name in here.settings.bases or here.settings.base_of_alias(name):
        raise invalid_value("model", f"{name} is set up by the server's settings and cannot be deleted")
    chat: Chat = request.app.state.chat
    await run_in_threadpool(_delete, here, asking.project, name)
    chat.targets.forget(asking.project, name)
    await chat.engines.unload(name)
    return {"id": name, "object": "model", "deleted": True}


def _delete(here: Context, project: str, name: str) -> None:
    with here.database.write() as session:
        model = session.scalar(select(Model).where(Model.project == project, Model.id == name))
        if model is None:
            raise _no_such_model(name)
        session.delete(model)
        adapter = Path(model.adapter)
    shutil.rmtree(adapter, ignore_errors=True)


def _no_such_model(name: str) -> ApiError:
    return ApiError(404, f"The model {name!r} does not exist", param="model", code="model_not_found")


def _tuned(model: Model) -> dict[str, Any]:
    return _object(model.id, model.created_at, "local") | {"root": model.base_model, "job_id": model.job_id}


def _object(name: str, created: int, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}
