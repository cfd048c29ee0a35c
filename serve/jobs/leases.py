"""Which worker holds which job. A lease is renewed while the worker lives; one that has run out frees the job."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from serve.storage.database import Database
from serve.storage.tables import Job

logger = logging.getLogger("calltune.worker")


class LostError(Exception):
    """The job is another worker's by now."""


def claim(database: Database, worker: str, statuses: tuple[str, ...], lease_s: float) -> Job | None:
    """The oldest free job of these statuses, now held by `worker`; None when there is none."""
    now = time.time()
    is_free = or_(Job.worker.is_(None), Job.lease_until < now)
    free = select(Job).where(Job.status.in_(statuses), is_free).order_by(Job.seq).limit(1)
    with database.read() as session:  # a look costs no lock
        if session.scalar(free) is None:
            return None
    with database.write() as session:
        job = session.scalar(free.with_for_update(skip_locked=True))
        if job is None:
            return None
        job.worker, job.lease_until = worker, now + lease_s
        if job.status in ("queued", "running"):
            job.attempts += 1
            job.status, job.started_at = "running", job.started_at or int(now)
        return job


def renew(database: Database, job_id: str, worker: str, lease_s: float) -> str:
    """The job's status. Raises LostError when the lease ran out and somebody else took the job."""
    with database.write() as session:
        mine = update(Job).where(Job.id == job_id, Job.worker == worker).values(lease_until=time.time() + lease_s)
        session.execute(mine)
        status = session.scalar(select(Job.status).where(Job.id == job_id, Job.worker == worker))
    if status is None:
        raise LostError(job_id)
    return status


@contextmanager
def kept_alive(database: Database, job_id: str, worker: str, lease_s: float) -> Iterator[None]:
    """The lease is renewed while the block runs, by a thread; whoever lost it learns so at its next `held_job`."""
    ended = threading.Event()

    def renew_often() -> None:
        while not ended.wait(lease_s / 3):
            try:
                renew(database, job_id, worker, lease_s)
            except LostError:
                return
            except SQLAlchemyError as error:  # away for a while; the next turn tries again
                logger.error("a lease was not renewed", extra={"job": job_id, "reason": repr(error)[:200]})

    thread = threading.Thread(target=renew_often, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def release(database: Database, job_id: str, worker: str, *, is_attempt: bool = False) -> None:
    """Called when nothing of the job runs under this worker any more. The worker lives: unless the training was lost
    elsewhere, this was no attempt that failed."""
    with database.write() as session:
        freed = update(Job).where(Job.id == job_id, Job.worker == worker)
        attempts = Job.attempts if is_attempt else Job.attempts - 1
        session.execute(freed.values(worker=None, lease_until=None, attempts=attempts))


def forget_own(database: Database, worker: str) -> list[str]:
    """Free what an earlier process of this worker's name held; its ids. Call it only where that process is dead."""
    with database.write() as session:
        held = list(session.scalars(select(Job.id).where(Job.worker == worker)))
        session.execute(update(Job).where(Job.worker == worker).values(worker=None, lease_until=None))
    return held


def held_job(session: Session, job_id: str, worker: str) -> Job:
    """The job, locked until the transaction ends. Raises LostError when the worker does not hold it."""
    job = session.scalar(select(Job).where(Job.id == job_id, Job.worker == worker).with_for_update())
    if job is None:
        raise LostError(job_id)
    return job
