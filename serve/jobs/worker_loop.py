"""A worker: validates new jobs and follows the trainings of queued ones, until it is told to stop."""

import fcntl
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from serve.api_settings import ApiSettings
from serve.jobs.leases import claim, forget_own
from serve.jobs.local_runner import RECIPE_RUN, LocalRunner
from serve.jobs.ray_runner import RayRunner
from serve.jobs.runner import Runner
from serve.jobs.training import Training
from serve.jobs.validation import validate_job
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.housekeeping import tidy
from serve.storage.tables import Job
from serve.webhooks.sending import WebhookSender

logger = logging.getLogger("calltune.worker")
IDLE_S = 0.5
DATABASE_AWAY_S = 2.0
TIDY_S = 60.0
TRAINABLE = ("queued", "running")


class WorkerLoop:
    def __init__(
        self, settings: ApiSettings, database: Database, files: FileStore, device: str,
        program: tuple[str, ...] = RECIPE_RUN,
    ) -> None:  # fmt: skip
        self.settings, self.database, self.files = settings, database, files
        self.runner: Runner = LocalRunner(device, program)
        if settings.runner.ray:
            self.runner, device = RayRunner(settings.runner.ray, settings.storage.absolute()), "ray"
        self.place = f"{socket.gethostname()}-{device or 'cpu'}"
        self.name = f"{socket.gethostname()}:{settings.storage.absolute()}:{device or 'cpu'}"
        self.stopping = threading.Event()
        self._webhook = WebhookSender(settings.webhook, database) if settings.webhook else None
        self._tidied_at = -TIDY_S

    def run(self) -> None:
        """Blocks. A second worker of the same device waits until the first one is gone."""
        with self._only_one():
            self._until_done(self._take_over)
            steps = [self.validate_one, *([self._webhook.send_one] if self._webhook else [])]
            steps += [partial(self.train_one, name) for name in self._names[1:]]
            threads = [threading.Thread(target=self._loop, args=(step,)) for step in steps]
            for thread in threads:
                thread.start()
            self._loop(self.train_one)
            for thread in threads:
                thread.join()

    def _loop(self, step: Callable[[], bool]) -> None:
        while not self.stopping.is_set():
            if not self._until_done(step):
                self.stopping.wait(IDLE_S)

    def validate_one(self) -> bool:
        """False when no job waits for it."""
        if time.monotonic() - self._tidied_at > TIDY_S:
            tidy(self.database, self.files, self.settings.capture.retention_days)
            self._end_unwanted()
            self._tidied_at = time.monotonic()
        # A name of its own: while this one validates, the other half of the worker trains another job.
        job = claim(self.database, f"{self.name}:validator", ("validating_files",), self.settings.lease_s)
        if job is not None:
            logger.info("validating", extra={"job": job.id})
            validate_job(job, f"{self.name}:validator", self.settings, self.database, self.files)
        return job is not None

    def train_one(self, name: str = "") -> bool:
        """Until the job has ended; False when none waits. Each that trains at the same time has a name of its own."""
        name = name or self.name
        job = claim(self.database, name, TRAINABLE, self.settings.lease_s)
        if job is not None:
            logger.info("training", extra={"job": job.id, "attempt": job.attempts})
            training = Training(job, name, self.runner, self.settings, self.database, self.files)
            training.run(stopping=self.stopping)
        return job is not None

    @property
    def _names(self) -> list[str]:
        """Of all that train here, the first one's being the worker's own."""
        return [self.name, *(f"{self.name}:{number}" for number in range(1, self.runner.slots))]

    def _take_over(self) -> bool:
        """What an earlier process of this worker left: it is dead, since its lock is ours."""
        for name in (*self._names, f"{self.name}:validator"):
            for job_id in forget_own(self.database, name):
                logger.info("taking over", extra={"job": job_id, "processes_ended": self.runner.clear(job_id)})
        return True

    def _end_unwanted(self) -> None:
        """Jobs that were cancelled or paused while no worker was there to see it."""
        for job_id in self.runner.running():
            with self.database.read() as session:
                status = session.scalar(select(Job.status).where(Job.id == job_id))
            if status not in TRAINABLE:
                logger.info("ending what nobody wants any more", extra={"job": job_id, "status": status})
                self.runner.stop(job_id)

    def _until_done(self, step: Callable[[], bool]) -> bool:
        while not self.stopping.is_set():
            try:
                return step()
            except SQLAlchemyError as error:
                logger.error("the database cannot be reached", extra={"reason": " ".join(str(error).split())[:300]})
                self.stopping.wait(DATABASE_AWAY_S)
        return False

    def _only_one(self) -> IO[str]:
        """The worker's lock file, locked until it is closed or this process dies. Workers of other machines, which may
        share the folder, have others."""
        path = Path(self.settings.storage) / f"worker-{self.place}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
        while not self.stopping.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(IDLE_S)
        return lock
