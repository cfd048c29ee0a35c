"""/v1/chat/completions: answered, and, where `store` is true, kept and given back. /v1/responses: answered."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.chat.asking import Chat
from serve.chat.request import ChatRequest, parse_chat_request, parse_response_request
from serve.chat.stored_objects import completion_object, input_messages
from serve.storage.tables import StoredCompletion
from serve.transport.access import Caller
from serve.transport.context import Asking, Here
from serve.transport.errors import ApiError
from serve.transport.lists import list_object, page, paging
from serve.transport.metadata import checked_metadata, set_pairs, with_metadata
from serve.transport.shapes import Completion, Deleted, Listing, ModelResponse, StoredMessage, StoredShape, answers

router = APIRouter(prefix="/v1/chat/completions", tags=["chat"])
responses_router = APIRouter(prefix="/v1/responses", tags=["chat"])
BODY = {
    "requestBody": {
        "content": {"application/json": {"schema": {
            "type": "object", "required": ["model", "messages"],
            "properties": {
                "model": {"type": "string"},
                "messages": {"type": "array", "items": {"type": "object"}, "minItems": 1},
                "stream": {"type": "boolean"}, "store": {"type": "boolean"}, "metadata": {"type": "object"},
            },
        }}},
        "required": True,
    }
}  # fmt: skip
RESPONSE_BODY = {
    "requestBody": {
        "content": {"application/json": {"schema": {
            "type": "object", "required": ["model", "input"],
            "properties": {
                "model": {"type": "string"},
                "input": {"anyOf": [
                    {"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "object"}, "minItems": 1},
                ]},
                "instructions": {"type": "string"}, "stream": {"type": "boolean"},
            },
        }}},
        "required": True,
    }
}  # fmt: skip


class Update(BaseModel):
    model_config = ConfigDict(extra="forbid")
    metadata: Any


class Direct(APIRoute):
    """The function gets the request itself: FastAPI's reading of arguments costs more than handing the request on."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


async def create(request: Request) -> Response:
    return await _answer(request, parse_chat_request)


async def create_response(request: Request) -> Response:
    return await _answer(request, parse_response_request)


async def _answer(request: Request, parse: Callable[[bytes], ChatRequest]) -> Response:
    chat: Chat = request.app.state.chat
    caller: Caller = request.state.caller
    body = parse(await request.body())
    return await chat.answer(body, caller.project, request.state.request_id, request.headers.get("authorization"))


router.add_api_route(
    "", create, methods=["POST"], openapi_extra=BODY, route_class_override=Direct, response_model=None,
    responses={200: {"model": Completion, "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)  # fmt: skip


responses_router.add_api_route(
    "", create_response, methods=["POST"], openapi_extra=RESPONSE_BODY, route_class_override=Direct,
    response_model=None,
    responses={200: {"model": ModelResponse, "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)  # fmt: skip


@router.get("", **answers(Listing[StoredShape]))
def list_stored(
    here: Here, asking: Asking, request: Request, after: str | None = None, limit: int = 20, order: str = "asc",
    model: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    rows = select(StoredCompletion).where(StoredCompletion.project == asking.project)
    rows = rows.where(StoredCompletion.model == model) if model is not None else rows
    rows = with_metadata(rows, StoredCompletion, request.query_params)
    with here.database.read() as session:
        found = page(session, rows, StoredCompletion, paging(after, limit, order, 100))
        return list_object([completion_object(stored) for stored in found.items], has_more=found.has_more)


@router.get("/{completion_id}", **answers(StoredShape))
def retrieve(here: Here, asking: Asking, completion_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        return completion_object(_find(session, asking.project, completion_id))


@router.get("/{completion_id}/messages", **answers(Listing[StoredMessage]))
def list_messages(
    here: Here, asking: Asking, completion_id: str, after: str | None = None, limit: int = 20, order: str = "asc"
) -> dict[str, Any]:
    want = paging(after, limit, order)
    with here.database.read() as session:
        messages = input_messages(_find(session, asking.project, completion_id))
    if want.order == "desc":
        messages.reverse()
    ids = [message["id"] for message in messages]
    if want.after is not None:
        if want.after not in ids:
            raise ApiError(400, f"No such object: {want.after}", param="after", code="invalid_value")
        messages = messages[ids.index(want.after) + 1 :]
    return list_object(messages[: want.limit], has_more=len(messages) > want.limit)


@router.post("/{completion_id}", **answers(StoredShape))
def update(here: Here, asking: Asking, completion_id: str, body: Update) -> dict[str, Any]:
    metadata = checked_metadata(body.metadata) or {}
    with here.database.write() as session:
        stored = _find(session, asking.project, completion_id)
        stored.metadata_ = metadata
        set_pairs(session, completion_id, metadata)
        return completion_object(stored)


@router.delete("/{completion_id}", **answers(Deleted))
def delete(here: Here, asking: Asking, completion_id: str) -> dict[str, Any]:
    with here.database.write() as session:
        session.delete(_find(session, asking.project, completion_id))
        set_pairs(session, completion_id, None)
    here.database.forget()
    return {"id": completion_id, "object": "chat.completion.deleted", "deleted": True}


def _find(session: Session, project: str, completion_id: str) -> StoredCompletion:
    mine = (StoredCompletion.project == project, StoredCompletion.id == completion_id)
    stored = session.scalar(select(StoredCompletion).where(*mine))
    if stored is None:
        raise ApiError(404, f"No stored completion with id {completion_id}", param="completion_id", code="not_found")
    return stored
