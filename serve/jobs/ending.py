"""How a job ends: its model, its result file and its last events in one transaction, or its failure with a cause."""

import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.api_settings import ApiSettings
from serve.jobs.happenings import tell
from serve.jobs.leases import held_job
from serve.jobs.model_names import model_name
from serve.jobs.progress import add_checkpoint_row, add_model
from serve.jobs.recipe_file import gate_of, run_folder, weights_folder
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.tables import Checkpoint, Event, File, Job, Model
from serve.webhooks.outbox import announce

COLUMNS = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
KEPT_CHECKPOINTS = 3


class Failure(NamedTuple):
    code: str
    message: str
    param: str | None = None


def fail(database: Database, job_id: str, worker: str, failure: Failure) -> None:
    """Nothing happens to a job that was cancelled or paused meanwhile. Raises LostError."""
    with database.write() as session:
        job = held_job(session, job_id, worker)
        if job.status in ("running", "validating_files"):
            set_failed(session, job, failure)


def succeed(settings: ApiSettings, database: Database, files: FileStore, job_id: str, worker: str) -> None:
    """Nothing happens to a job that was cancelled or paused meanwhile. Raises LostError, and UserError."""
    folder = run_folder(settings, job_id)
    with database.read() as session:
        csv = _results(session, job_id)
    file_id = f"file-{hashlib.sha256(job_id.encode()).hexdigest()[:24]}"  # the same at every attempt
    size = files.write(file_id, io.BytesIO(csv))
    with database.write() as session:
        job = held_job(session, job_id, worker)
        if job.status != "running":
            return
        job.evaluation = _evaluation(folder)
        job.trained_tokens = _trained_tokens(folder, job)
        session.add(
            File(
                id=file_id, project=job.project, created_at=int(time.time()), filename="step_metrics.csv",
                purpose="fine-tune-results", bytes=size, status="processed", status_details=None, expires_at=None,
            )
        )  # fmt: skip
        job.result_files = [file_id]
        _keep_last_checkpoints(session, job_id)
        if _is_refused(settings, session, job):
            return
        _add_tuned_model(settings, session, job, folder / "adapter")
        job.status, job.finished_at = "succeeded", int(time.time())
        tell(session, job_id, "model", f"New fine-tuned model created: {job.fine_tuned_model}", data={})
        tell(session, job_id, "succeeded", "The job has successfully completed", data={})
        announce(session, job.project, "fine_tuning.job.succeeded", job_id)


def _is_refused(settings: ApiSettings, session: Session, job: Job) -> bool:
    """Tell the gate's verdict; it fails the job only where that was asked for."""
    if not job.evaluation or job.evaluation["outcome"] == "PASS":
        return False
    failed = [item for item in job.evaluation["conditions"] if item["outcome"] != "PASS"]
    reasons = "; ".join(f"{item['name']}: {item['reason']}" for item in failed)
    message = f"Evaluation gate: {job.evaluation['outcome']}; {reasons}"
    if gate_of(settings, job) != "enforce":
        tell(session, job.id, "gate", message, level="warn", data=job.evaluation)
        return False
    set_failed(session, job, Failure("evaluation_gate_failed", message))
    return True


def set_failed(session: Session, job: Job, failure: Failure, data: dict[str, Any] | None = None) -> None:
    job.status, job.finished_at = "failed", int(time.time())
    job.error = failure._asdict()
    tell(session, job.id, "failed", failure.message, level="error", data=data or {})
    announce(session, job.project, "fine_tuning.job.failed", job.id)


def _add_tuned_model(settings: ApiSettings, session: Session, job: Job, adapter: Path) -> None:
    job.fine_tuned_model = model_name(job, settings.organization)
    add_model(session, job, job.fine_tuned_model, weights_folder(settings, job), adapter)
    add_checkpoint_row(session, job, job.step, job.fine_tuned_model)


def _keep_last_checkpoints(session: Session, job_id: str) -> None:
    """With the final model three are kept, as OpenAI keeps them."""
    rows = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.seq.desc())
    for old in session.scalars(rows.offset(KEPT_CHECKPOINTS - 1)).all():
        model = session.scalar(select(Model).where(Model.id == old.model))
        if model:
            session.delete(model)
        session.delete(old)


def _results(session: Session, job_id: str) -> bytes:
    rows = select(Event.data).where(Event.job_id == job_id, Event.type == "metrics").order_by(Event.seq)
    lines = [COLUMNS]
    for data in session.scalars(rows):
        values = [(data or {}).get(key) for key in ("train_loss", "train_mean_token_accuracy", "valid_loss")]
        cells = ["" if value is None else f"{value:.5f}" for value in [*values, (data or {}).get("valid_accuracy")]]
        lines.append(",".join([str((data or {})["step"]), *cells]))
    return ("\n".join(lines) + "\n").encode()


def _trained_tokens(folder: Path, job: Job) -> int:
    """All tokens of the rows that were trained on, times the epochs, as OpenAI bills them."""
    rows = json.loads((folder / "rows" / "summary.json").read_text())["train"]
    return int(rows["tokens"] * job.method[job.method["type"]]["hyperparameters"]["n_epochs"])


def _evaluation(folder: Path) -> dict[str, Any] | None:
    path = folder / "verdict.json"
    if not path.is_file():
        return None
    verdict = json.loads(path.read_text())
    return {key: verdict[key] for key in ("outcome", "conditions")}
