"""One job's training: a recipe run in a process of its own, followed until it ends or is no longer wanted."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from data.user_error import UserError
from serve.api_settings import ApiSettings
from serve.files.keeping import sweep
from serve.jobs.base_folder import ensure_base
from serve.jobs.blame import blamed
from serve.jobs.ending import Failure, fail, succeed
from serve.jobs.happenings import tell
from serve.jobs.leases import LostError, held_job, release, renew
from serve.jobs.left_out import left_out
from serve.jobs.leftovers import MARK, end_processes
from serve.jobs.progress import Progress
from serve.jobs.recipe_file import run_folder, wants_evaluation, weights_folder, write_recipe
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.tables import Job, Model

logger = logging.getLogger("calltune.worker")
LOOK_S = 1.0
POLL_S = 0.1
GATE_STATUSES = (0, 1, 3)
ROOT = Path(__file__).parents[2]
RECIPE_RUN = (sys.executable, "-m", "recipes.run")
"""By command line: the recipes are a room to the right."""


class Training:
    def __init__(
        self, job: Job, worker: str, device: str, program: tuple[str, ...], settings: ApiSettings, database: Database,
        files: FileStore,
    ) -> None:  # fmt: skip
        self.job, self.worker, self.device, self.program = job, worker, device, program
        self.settings, self.database, self.files = settings, database, files
        self.folder = run_folder(settings, job.id)
        epochs = job.method[job.method["type"]]["hyperparameters"]["n_epochs"]
        self.progress = Progress(self.folder, epochs, settings.organization)
        self._rows_are_told = False

    def run(self, *, stopping: threading.Event) -> None:
        """Until the job has ended, was taken back by a client, or this worker stops: then it is left to be resumed."""
        try:
            if self.job.attempts > self.settings.max_attempts:
                attempts = f"its worker died {self.settings.max_attempts} times; the last log: {self._cause()}"
                self._fail(Failure("server_error", f"The job could not be completed: {attempts}"))
            elif self._prepare():
                self._follow(stopping)
        except UserError as error:
            self._fail(Failure("server_error", str(error)))
        except SQLAlchemyError:
            raise  # the database is away: the job is taken up again when it is back
        except LostError:
            logger.warning("lost a job to another worker", extra={"job": self.job.id})
        except Exception as error:  # our own fault: this job fails with it, the worker goes on with the next
            logger.exception("own fault", extra={"job": self.job.id})
            self._fail(Failure("server_error", f"The worker had an error: {error}"))
        finally:
            end_processes(self.job.id)
            self._release()

    def _prepare(self) -> bool:
        """The job's files into its run folder, and the recipe; False when they cannot be had."""
        end_processes(self.job.id)  # of a worker that was killed
        inputs = self.folder / "inputs"
        for kind, file_id in (("training", self.job.training_file), ("validation", self.job.validation_file)):
            path = inputs / f"{kind}.jsonl"
            if file_id and not path.is_file():
                try:
                    self.files.copy_to(file_id, path.with_suffix(".partial"))
                except FileNotFoundError:
                    self._fail(Failure("file_not_found", f"No such File object: {file_id}", f"{kind}_file"))
                    return False
                path.with_suffix(".partial").replace(path)
        write_recipe(self.settings, self.job, self._model_folder())
        return True

    def _model_folder(self) -> Path:
        """What the training starts from: the base, or the tuned model's merged weights."""
        base = ensure_base(self.settings, self.job.base_model)
        if not self.job.start_from:
            return base
        with self.database.read() as session:
            tuned = session.scalar(select(Model).where(Model.id == self.job.start_from))
        if tuned is None:
            raise UserError(f"the model {self.job.start_from} was deleted", where="model")
        return run_folder(self.settings, tuned.job_id) / "merged"

    def _follow(self, stopping: threading.Event) -> None:
        process = self._start()
        try:
            looked_at = time.monotonic()
            while process.poll() is None:
                if stopping.wait(POLL_S):
                    return
                if time.monotonic() - looked_at >= LOOK_S:
                    if not self._look():
                        return
                    looked_at = time.monotonic()
            self._look()
            self._end(process.returncode)
        finally:
            if process.poll() is None:
                process.terminate()  # unwinds, and takes its children along
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.database.write() as session:
            tell(session, self.job.id, "started", "Fine-tuning job started", data=None)
        recipe = self.folder / "inputs" / "recipe.yaml"
        options = [] if wants_evaluation(self.settings, self.job) else ["--no-eval"]
        environment = os.environ | {MARK: self.job.id}
        environment |= {"CUDA_VISIBLE_DEVICES": self.device} if self.device else {}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self.program, str(recipe), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment,
                cwd=ROOT,
            )  # fmt: skip

    def _look(self) -> bool:
        """Tell what is new, renew the lease; False when the training is no longer wanted."""
        try:
            logs = self.progress.new_steps()
            with self.database.write() as session:
                job = held_job(session, self.job.id, self.worker)
                self.progress.tell_steps(session, job, logs)
                self.progress.tell_checkpoints(session, job, weights_folder(self.settings, job))
                failure = self._tell_left_out(session)
            if failure:
                self._fail(failure)
                return False
            return renew(self.database, self.job.id, self.worker, self.settings.lease_s) == "running"
        except SQLAlchemyError as error:  # the database is away for a while: the training need not care
            logger.error("the database cannot be reached", extra={"reason": " ".join(str(error).split())[:300]})
            self.progress.again()
            self._rows_are_told = False
            return True

    def _tell_left_out(self, session: Session) -> Failure | None:
        """As soon as the rows are prepared, minutes before the training ends."""
        found = None if self._rows_are_told else left_out(self.folder)
        if found is None:
            return None
        self._rows_are_told = True
        if found.lines:
            tell(session, self.job.id, "left-out", found.message, level="warn", data={"lines": found.lines})
        return found.failure(self.settings.max_dropped)

    def _end(self, status: int) -> None:
        merged = (self.folder / "merged" / "calltune.json").is_file()
        if merged and status in GATE_STATUSES and self._is_judged():
            succeed(self.settings, self.database, self.files, self.job.id, self.worker)
            sweep(self.database, self.files, self.job.files)
        elif status == 2:
            self._fail(blamed(self._cause()))
        else:
            self._fail(Failure("server_error", f"The training ended with status {status}: {self._cause()}"))

    def _is_judged(self) -> bool:
        return (self.folder / "verdict.json").is_file() or not wants_evaluation(self.settings, self.job)

    def _fail(self, failure: Failure) -> None:
        fail(self.database, self.job.id, self.worker, failure)
        sweep(self.database, self.files, self.job.files)

    def _release(self) -> None:
        try:
            release(self.database, self.job.id, self.worker)
        except SQLAlchemyError:
            logger.error("a job could not be freed: its lease will run out", extra={"job": self.job.id})

    def _cause(self) -> str:
        """The last line of the log that says what went wrong."""
        if not self._log.is_file():
            return "there is no log"
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines()[-200:] if line.strip()]
        told = [line for line in lines if line.startswith("error: ") or "Error" in line]
        cause = (told or lines or ["there is no log"])[-1].removeprefix("error: ")
        return cause.replace(f"{self.folder / 'inputs'}/", "")[:500]

    @property
    def _log(self) -> Path:
        return self.folder / "inputs" / "log.txt"
