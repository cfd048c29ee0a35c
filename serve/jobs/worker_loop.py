"""A worker: validates new jobs and trains queued ones, one at a time, until it is told to stop."""

import fcntl
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from sqlalchemy.exc import SQLAlchemyError

from serve.api_settings import ApiSettings
from serve.jobs.leases import claim, forget_own
from serve.jobs.leftovers import end_processes
from serve.jobs.training import RECIPE_RUN, Training
from serve.jobs.validation import validate_job
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.housekeeping import tidy
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
        self.settings, self.database, self.files, self.device = settings, database, files, device
        self.program = program
        self.name = f"{socket.gethostname()}:{settings.storage.absolute()}:{device or 'cpu'}"
        self.stopping = threading.Event()
        self._webhook = WebhookSender(settings.webhook, database) if settings.webhook else None
        self._tidied_at = -TIDY_S

    def run(self) -> None:
        """Blocks. A second worker of the same device waits until the first one is gone."""
        with self._only_one():
            self._until_done(self._take_over)
            steps = [self.validate_one, *([self._webhook.send_one] if self._webhook else [])]
            threads = [threading.Thread(target=self._loop, args=(step,), name=step.__name__) for step in steps]
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
            self._tidied_at = time.monotonic()
        # A name of its own: while this one validates, the other half of the worker trains another job.
        job = claim(self.database, f"{self.name}:validator", ("validating_files",), self.settings.lease_s)
        if job is not None:
            logger.info("validating", extra={"job": job.id})
            validate_job(job, f"{self.name}:validator", self.settings, self.database, self.files)
        return job is not None

    def train_one(self) -> bool:
        """Until the job has ended; False when none waits."""
        job = claim(self.database, self.name, TRAINABLE, self.settings.lease_s)
        if job is not None:
            logger.info("training", extra={"job": job.id, "attempt": job.attempts})
            training = Training(
                job, self.name, self.device, self.program, self.settings, self.database, self.files
            )  # fmt: skip
            training.run(stopping=self.stopping)
        return job is not None

    def _take_over(self) -> bool:
        """What an earlier process of this worker left: it is dead, since its lock is ours."""
        for name in (self.name, f"{self.name}:validator"):
            for job_id in forget_own(self.database, name):
                logger.info("taking over", extra={"job": job_id, "processes_ended": end_processes(job_id)})
        return True

    def _until_done(self, step: Callable[[], bool]) -> bool:
        while not self.stopping.is_set():
            try:
                return step()
            except SQLAlchemyError as error:
                logger.error("the database cannot be reached", extra={"reason": " ".join(str(error).split())[:300]})
                self.stopping.wait(DATABASE_AWAY_S)
        return False

    def _only_one(self) -> IO[str]:
        """The worker's lock file, locked until it is closed or this process dies."""
        path = Path(self.settings.storage) / f"worker-{self.device or 'cpu'}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
        while not self.stopping.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(IDLE_S)
        return lock
