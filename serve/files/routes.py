"""/v1/files: upload, list, retrieve, content, delete."""

import base64
import time
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from serve.files import keeping
from serve.files.upload import clean_filename, expiry, require_json_lines, require_purpose
from serve.storage.tables import File as StoredFile
from serve.transport.context import Asking, Here
from serve.transport.errors import ApiError, invalid_value
from serve.transport.lists import list_object, page, paging
from serve.transport.shapes import Deleted, FileShape, Listing, answers

router = APIRouter(prefix="/v1/files", tags=["files"])
MAX_LIST = 10_000
RESULTS = "fine-tune-results"
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("", **answers(FileShape))
def create_file(
    here: Here,
    asking: Asking,
    purpose: Annotated[str, Form()],
    file: Annotated[UploadFile, File()],
    anchor: Annotated[str | None, Form(alias="expires_after[anchor]")] = None,
    seconds: Annotated[int | None, Form(alias="expires_after[seconds]")] = None,
) -> dict[str, Any]:
    """Checked at once, so that it is `processed` when the answer comes; a file with a fault is not kept."""
    require_purpose(purpose)
    if (file.size or 0) > here.settings.max_file_bytes:
        raise ApiError(413, f"The file is larger than {here.settings.max_file_bytes} bytes", code="request_too_large")
    now = int(time.time())
    expires_at = expiry(anchor, seconds, now)
    if purpose != "user_data":
        require_json_lines(file.file)
    name = clean_filename(file.filename)
    kept = keeping.keep(
        here.database, here.files, file.file, project=asking.project, filename=name, purpose=purpose,
        created_at=now, expires_at=expires_at,
    )  # fmt: skip
    return file_object(kept)


@router.get("", **answers(Listing[FileShape]))
def list_files(
    here: Here,
    asking: Asking,
    after: str | None = None,
    limit: int = MAX_LIST,
    order: str = "desc",
    purpose: str | None = None,
) -> dict[str, Any]:
    rows = select(StoredFile).where(StoredFile.project == asking.project, _not_expired())
    rows = rows.where(StoredFile.purpose == purpose) if purpose is not None else rows
    with here.database.read() as session:
        found = page(session, rows, StoredFile, paging(after, limit, order, MAX_LIST))
        return list_object([file_object(file) for file in found.items], has_more=found.has_more)


@router.get("/{file_id}", **answers(FileShape))
def retrieve_file(here: Here, asking: Asking, file_id: str) -> dict[str, Any]:
    with here.database.read() as session:
        return file_object(find_file(session, asking.project, file_id))


@router.get("/{file_id}/content", response_class=Response, responses=BYTES)
def file_content(here: Here, asking: Asking, file_id: str, encoding: Annotated[str | None, Query()] = None) -> Response:
    """The bytes; of a result file base64, as OpenAI gives them, unless `?encoding=plain` or the settings say plain."""
    encoding = encoding or here.settings.results_encoding
    if encoding not in ("base64", "plain"):
        raise invalid_value("encoding", "encoding must be base64 or plain")
    with here.database.read() as session:
        file = find_file(session, asking.project, file_id)
    try:
        pieces = here.files.read(file.id)
    except FileNotFoundError as error:
        raise no_such_file(file_id) from error
    headers = {"x-content-type-options": "nosniff"}
    if file.purpose == RESULTS and encoding == "base64":
        return Response(base64.b64encode(b"".join(pieces)), media_type="application/octet-stream", headers=headers)
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


@router.delete("/{file_id}", **answers(Deleted))
def delete_file(here: Here, asking: Asking, file_id: str) -> dict[str, Any]:
    """A job that is not done yet goes on with the bytes it was given; they go when it ends."""
    with here.database.write() as session:
        file = find_file(session, asking.project, file_id)
        session.delete(file)
        is_needed = keeping.is_needed(session, file_id)
    if not is_needed:
        here.files.delete(file_id)
    return {"id": file_id, "object": "file", "deleted": True}


def find_file(session: Session, project: str, file_id: str) -> StoredFile:
    """Raises ApiError when the project has no such file, or it has expired."""
    mine = (StoredFile.project == project, StoredFile.id == file_id)
    file = session.scalar(select(StoredFile).where(*mine, _not_expired()))
    if file is None:
        raise no_such_file(file_id)
    return file


def no_such_file(file_id: str) -> ApiError:
    return ApiError(404, f"No such File object: {file_id}", param="id")


def _not_expired() -> Any:
    return or_(StoredFile.expires_at.is_(None), StoredFile.expires_at > int(time.time()))


def file_object(file: StoredFile) -> dict[str, Any]:
    return {
        "id": file.id, "object": "file", "bytes": file.bytes, "created_at": file.created_at,
        "filename": file.filename, "purpose": file.purpose, "status": file.status,
        "status_details": file.status_details, "expires_at": file.expires_at,
    }  # fmt: skip
