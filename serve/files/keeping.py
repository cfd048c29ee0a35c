"""Files into the store and out of it: first the bytes, then the row, so that what is listed can be read."""

from typing import IO

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.ids import new_id
from serve.storage.tables import File, Job

ENDED = ("succeeded", "failed", "cancelled")


def keep(
    database: Database, files: FileStore, source: IO[bytes], *, project: str, filename: str, purpose: str,
    created_at: int, expires_at: int | None = None,
) -> File:  # fmt: skip
    file = File(
        id=new_id("file-"), project=project, created_at=created_at, filename=filename, purpose=purpose,
        status="processed", status_details=None, expires_at=expires_at,
    )  # fmt: skip
    file.bytes = files.write(file.id, source)
    try:
        with database.write() as session:
            session.add(file)
    except BaseException:
        files.delete(file.id)
        raise
    return file


def is_needed(session: Session, file_id: str) -> bool:
    """Does a job that has not ended still read the file?"""
    reads = or_(Job.training_file == file_id, Job.validation_file == file_id)
    return session.scalar(select(Job.id).where(reads, Job.status.not_in(ENDED)).limit(1)) is not None


def sweep(database: Database, files: FileStore, file_ids: list[str]) -> None:
    """Delete the bytes of those files that were deleted while a job needed them."""
    for file_id in file_ids:
        with database.read() as session:
            is_listed = session.scalar(select(File.id).where(File.id == file_id)) is not None
            is_kept = is_listed or is_needed(session, file_id)
        if not is_kept:
            files.delete(file_id)
