"""The first step of a job: its files are looked at before a GPU is touched."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from serve.api_settings import ApiSettings
from serve.files.keeping import sweep
from serve.jobs.ending import Failure, set_failed
from serve.jobs.file_check import CheckedFile, FileFault, Kind, check_file
from serve.jobs.happenings import tell
from serve.jobs.hyperparameters import resolved
from serve.jobs.leases import LostError, held_job, kept_alive
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.tables import Job

logger = logging.getLogger("calltune.worker")


def validate_job(job: Job, worker: str, settings: ApiSettings, database: Database, files: FileStore) -> None:
    """Moves the job to `queued` or `failed`; one that was cancelled meanwhile stays so."""
    named = f" and validation file: {job.validation_file}" if job.validation_file else ""
    with database.write() as session:
        tell(session, job.id, "validating", f"Validating training file: {job.training_file}{named}", data={})
    validation = None
    with kept_alive(database, job.id, worker, settings.lease_s):  # a large file takes longer than a lease
        training = _checked(job, job.training_file, "training", settings, files, settings.min_rows)
        if job.validation_file and not training.fault:
            validation = _checked(job, job.validation_file, "validation", settings, files, 1)
    fault = training.fault or (validation.fault if validation else None)
    try:
        with database.write() as session:
            held = held_job(session, job.id, worker)
            if held.status != "validating_files":
                return
            if fault:
                set_failed(session, held, Failure(fault.code, fault.message, fault.param), fault.data)
            else:
                held.status, held.method = "queued", resolved(job.method, training.num_rows)
                _warn(session, held, training, validation)
                tell(session, job.id, "validated", "Files validated, moving job to queued state", data={})
            held.worker, held.lease_until = None, None
    except LostError:
        logger.warning("lost a job while validating it", extra={"job": job.id})
    if fault:
        sweep(database, files, job.files)


def _checked(job: Job, file_id: str, kind: Kind, settings: ApiSettings, files: FileStore, min_rows: int) -> CheckedFile:
    with tempfile.TemporaryDirectory(prefix="calltune-") as folder:
        path = Path(folder) / f"{kind}.jsonl"
        try:
            files.copy_to(file_id, path)
        except FileNotFoundError:
            gone = FileFault("file_not_found", f"No such File object: {file_id}", f"{kind}_file", {})
            return CheckedFile(0, gone, [])
        try:
            return check_file(path, file_id, kind, job.method["type"], settings.rules, min_rows)
        except Exception as error:  # our own fault: this job fails with it, the worker goes on with the next
            logger.exception("own fault", extra={"job": job.id})
            fault = FileFault("server_error", f"The file could not be checked: {error}", f"{kind}_file", {})
            return CheckedFile(0, fault, [])


def _warn(session: Any, job: Job, training: CheckedFile, validation: CheckedFile | None) -> None:
    for name, checked in (("training", training), ("validation", validation)):
        for number, warning in enumerate(checked.warnings if checked else []):
            tell(session, job.id, f"{name}-{number}", f"{name.title()} file: {warning}", level="warn", data={})
    kind = job.method["type"]
    multiplier = job.method[kind]["hyperparameters"]["learning_rate_multiplier"]
    if multiplier < 0.01:
        message = f"learning_rate_multiplier {multiplier:g} multiplies the base rate: it looks like a rate of its own"
        tell(session, job.id, "multiplier", message, level="warn", data={})
