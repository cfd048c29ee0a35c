"""One job's training: a recipe run where the runner puts it, followed until it ends or is no longer wanted."""

import logging
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
from serve.jobs.progress import Progress
from serve.jobs.recipe_file import run_folder, wants_evaluation, weights_folder, write_recipe
from serve.jobs.runner import Ended, Run, Runner
from serve.jobs.start_folder import start_folder
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.tables import Job, Model

logger = logging.getLogger("calltune.worker")
LOOK_S = 1.0
POLL_S = 0.1
GATE_STATUSES = (0, 1, 3)


class Training:
    def __init__(
        self, job: Job, worker: str, runner: Runner, settings: ApiSettings, database: Database, files: FileStore
    ) -> None:
        self.job, self.worker, self.runner = job, worker, runner
        self.settings, self.database, self.files = settings, database, files
        self.folder = run_folder(settings, job.id)
        epochs = job.method[job.method["type"]]["hyperparameters"]["n_epochs"]
        self.progress = Progress(self.folder, epochs, settings.organization)
        self._rows_are_told = self._waiting_is_told = False
        self._is_lost = False

    def run(self, *, stopping: threading.Event) -> None:
        """Until the job has ended, was taken back by a client, or this worker stops: then it is left to be resumed."""
        try:
            self.runner.clear(self.job.id)  # of a worker that was killed
            if self.job.attempts > self.settings.max_attempts and not self.runner.goes_on(self.job.id):
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
            self._release()

    def _prepare(self) -> bool:
        """The job's files into its run folder, and the recipe; False when they cannot be had."""
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
        """What the training starts from: the base, or a tuned model."""
        base = ensure_base(self.settings, self.job.base_model)
        if not self.job.start_from:
            return base
        with self.database.read() as session:
            tuned = session.scalar(select(Model).where(Model.id == self.job.start_from))
        if tuned is None:
            raise UserError(f"the model {self.job.start_from} was deleted", where="model")
        return start_folder(self.settings, tuned)

    def _follow(self, stopping: threading.Event) -> None:
        run = self._start()
        is_wanted = False
        try:
            looked_at = time.monotonic()
            while (ended := run.ended()) is None:
                if stopping.wait(POLL_S):
                    is_wanted = True
                    return
                if time.monotonic() - looked_at >= LOOK_S:
                    if not self._look(run):
                        return
                    looked_at = time.monotonic()
            self._look(run)
            self._end(ended)
        except (LostError, SQLAlchemyError):  # another worker's by now, or this one's again in a moment
            is_wanted = True
            raise
        finally:
            if is_wanted:
                run.leave()
            else:
                run.end()

    def _start(self) -> Run:
        with self.database.write() as session:
            tell(session, self.job.id, "started", "Fine-tuning job started", data=None)
            if self.runner.where:
                tell(session, self.job.id, "runner", f"The training runs on {self.runner.where}", data={})
        recipe = self.folder / "inputs" / "recipe.yaml"
        options = [] if wants_evaluation(self.settings, self.job) else ["--no-eval"]
        return self.runner.start(self.job.id, [str(recipe), *options], self._log)

    def _look(self, run: Run) -> bool:
        """Tell what is new, renew the lease; False when the training is no longer wanted."""
        try:
            logs = self.progress.new_steps()
            with self.database.write() as session:
                job = held_job(session, self.job.id, self.worker)
                self.progress.tell_steps(session, job, logs)
                self.progress.tell_checkpoints(session, job, weights_folder(self.settings, job))
                failure = self._tell_left_out(session)
                self._tell_waiting(session, run)
            if failure:
                self._fail(failure)
                return False
            return renew(self.database, self.job.id, self.worker, self.settings.lease_s) == "running"
        except SQLAlchemyError as error:  # the database is away for a while: the training need not care
            logger.error("the database cannot be reached", extra={"reason": " ".join(str(error).split())[:300]})
            self.progress.again()
            self._rows_are_told = self._waiting_is_told = False
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

    def _tell_waiting(self, session: Session, run: Run) -> None:
        if run.waits_for and not self._waiting_is_told:
            tell(session, self.job.id, "waiting", f"The job waits for {run.waits_for}", data={})
            self._waiting_is_told = True

    def _end(self, ended: Ended) -> None:
        status = ended.status
        merged = (self.folder / "merged" / "calltune.json").is_file()
        if ended.is_final:
            self._fail(Failure("server_error", f"The training failed: {ended.reason}"))
        elif status is None:
            self._begin_anew(ended.reason)
        elif merged and status in GATE_STATUSES and self._is_judged():
            succeed(self.settings, self.database, self.files, self.job.id, self.worker)
            sweep(self.database, self.files, self.job.files)
        elif ended.reason:
            less = "a smaller batch_size or local.max_length takes less"
            self._fail(Failure("server_error", f"The training was {ended.reason}; {less}"))
        elif status == 2:
            self._fail(blamed(self._cause()))
        else:
            self._fail(Failure("server_error", f"The training ended with status {status}: {self._cause()}"))

    def _begin_anew(self, reason: str) -> None:
        """The attempt counts; the next one goes on from the last checkpoint."""
        self._is_lost = True
        with self.database.write() as session:
            message = f"The training was lost ({reason}) and begins again from its last checkpoint"
            tell(session, self.job.id, f"lost-{self.job.attempts}", message, level="warn", data={})

    def _is_judged(self) -> bool:
        return (self.folder / "verdict.json").is_file() or not wants_evaluation(self.settings, self.job)

    def _fail(self, failure: Failure) -> None:
        fail(self.database, self.job.id, self.worker, failure)
        sweep(self.database, self.files, self.job.files)

    def _release(self) -> None:
        try:
            release(self.database, self.job.id, self.worker, is_attempt=self._is_lost)
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
