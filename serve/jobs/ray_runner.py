"""Trainings as jobs of a Ray cluster. The submission's id is the job's, so that any worker finds it again."""

import logging
import shlex
import sys
import time
from pathlib import Path

import httpx

from serve.jobs.ray_jobs import LOST, NO_ROOM, RayJob, RayJobs
from serve.jobs.runner import Ended, Run
from serve.killed import cause_of_kill
from serve.runner_settings import RaySection

logger = logging.getLogger("calltune.worker")
ROOT = Path(__file__).parents[2]
LOOK_S = 1.0
END_S = 60.0
START_S = 10.0
"""What Ray may take to start a job that it has room for."""
STORAGE = "calltune_storage"
NO_NODE = ", none of whose nodes has what entrypoint_num_gpus, entrypoint_num_cpus and entrypoint_resources ask for"


class RayRunner:
    def __init__(self, section: RaySection, storage: Path) -> None:
        self.section, self.storage = section, storage
        self.where = f"the Ray cluster at {section.address}"
        self.slots = section.max_jobs
        self.jobs = RayJobs(section)

    def start(self, job_id: str, arguments: list[str], log: Path) -> Run:
        python = self.section.python or sys.executable
        command = shlex.join([python, "-m", "recipes.run", *arguments])
        # Into the run folder's log, as everywhere: Ray's own is on the node that may be gone.
        entrypoint = (
            f"cd {shlex.quote(str(self.section.root or ROOT))} && exec {command} >> {shlex.quote(str(log))} 2>&1"
        )
        return RayRun(self, job_id, entrypoint, log)

    def goes_on(self, job_id: str) -> bool:
        try:
            job = self.jobs.find(job_id)
        except httpx.HTTPError:
            return True  # as far as anybody knows
        return job is not None and (job.is_under_way or job.has_result)

    def clear(self, job_id: str) -> int:
        return 0  # nothing is left behind: what runs on the cluster is found again

    def running(self) -> list[str]:
        try:
            told = self.jobs.all()
        except httpx.HTTPError as error:
            logger.error("the Ray cluster cannot be asked", extra={"reason": repr(error)[:200]})
            return []
        return [job.id for job, metadata in told if job.is_under_way and metadata.get(STORAGE) == str(self.storage)]

    def stop(self, job_id: str) -> None:
        try:
            self.jobs.stop(job_id)
        except httpx.HTTPError as error:  # the next look through what runs finds it again
            logger.error("a Ray job was not stopped", extra={"job": job_id, "reason": repr(error)[:200]})


class RayRun:
    """Submitted at the first look, so that a cluster that is away holds nobody up."""

    def __init__(self, runner: RayRunner, job_id: str, entrypoint: str, log: Path) -> None:
        self.runner, self.jobs, self.job_id = runner, runner.jobs, job_id
        self.entrypoint, self.log = entrypoint, log
        self.waits_for = ""
        self._is_submitted = self._was_running = False
        self._looked_at = -LOOK_S
        self._away_since: float | None = None
        self._pending_since: float | None = None

    def ended(self) -> Ended | None:
        if time.monotonic() - self._looked_at < LOOK_S:
            return None
        try:
            found = self._look() if self._is_submitted else self._submit()
            self._away_since = None
        except (httpx.HTTPError, ValueError, KeyError) as error:  # away, or something else answers in its place
            found = self._away(error)
        self._looked_at = time.monotonic()
        return found

    def end(self) -> None:
        """A job that still waits is stopped by Ray only when there is room for it: nobody waits for that."""
        deadline = time.monotonic() + END_S
        try:
            job = self.jobs.find(self.job_id)
            if job and job.is_under_way:
                self.jobs.stop(self.job_id)
            while job and job.status == "RUNNING" and time.monotonic() < deadline:
                time.sleep(LOOK_S / 4)
                job = self.jobs.find(self.job_id)
        except httpx.HTTPError as error:
            logger.error("a Ray job was not stopped", extra={"job": self.job_id, "reason": repr(error)[:200]})

    def leave(self) -> None:
        """The cluster goes on; the next worker finds it by its id."""

    def _submit(self) -> Ended | None:
        """Nothing is submitted where an earlier worker did so: its job goes on, or its end is told."""
        job = self.jobs.find(self.job_id)
        if job and not job.is_under_way and not job.has_result:  # stopped by a pause, or lost
            self.jobs.delete(self.job_id)
            job = None
        if job is None:
            self.jobs.submit(self.job_id, self.entrypoint, {STORAGE: str(self.runner.storage)})
        else:
            logger.info("found again on the Ray cluster", extra={"job": self.job_id, "status": job.status})
        self._is_submitted = True
        return self._look()

    def _look(self) -> Ended | None:
        job = self.jobs.find(self.job_id)
        if job is None:
            return Ended(None, "the Ray cluster does not know it any more")
        if job.status != "PENDING":
            self.waits_for, self._pending_since = "", None
        elif self._pending_since is None:
            self._pending_since = time.monotonic()
        elif not self.waits_for and time.monotonic() - self._pending_since > START_S:
            self.waits_for = f"room on {self.runner.where}" + ("" if self.jobs.is_feasible() else NO_NODE)
        self._was_running = self._was_running or job.status == "RUNNING"
        if job.is_under_way:
            return None
        return self._end(job)

    def _end(self, job: RayJob) -> Ended | None:
        if job.has_result:
            return Ended(job.exit_status, cause_of_kill(job.exit_status, self.log))
        # Ray gives up a job that waits a quarter of an hour; one that was stopped while it waited stops now.
        if job.error_type == NO_ROOM or (job.status == "STOPPED" and not self._was_running):
            self._is_submitted = False
            return None
        if job.status == "STOPPED":
            return Ended(1, "it was stopped on the Ray cluster", is_final=True)
        if job.error_type in LOST or job.error_type is None:
            return Ended(None, job.message)
        return Ended(1, f"Ray: {job.error_type}: {job.message}", is_final=True)

    def _away(self, error: Exception) -> Ended | None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        reason = error.response.text[-300:] if isinstance(error, httpx.HTTPStatusError) else repr(error)
        logger.error("the Ray cluster cannot be used", extra={"job": self.job_id, "reason": " ".join(reason.split())})
        if now - self._away_since < self.runner.section.give_up_s:
            return None
        seconds = f"{self.runner.section.give_up_s:g} s"
        return Ended(1, f"{self.runner.where} could not be used for {seconds}: {reason[:200]}", is_final=True)
