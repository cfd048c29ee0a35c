"""Jobs, events and checkpoints as clients see them; every field is there, since typed clients insist on it."""

from typing import Any

from serve.storage.tables import Checkpoint, Event, Job

NO_ERROR: dict[str, Any] = {"code": None, "message": None, "param": None}
"""What a job has that did not fail: scripts read `job.error.message` without looking."""


def job_object(job: Job) -> dict[str, Any]:
    kind = job.method["type"]
    return {
        "id": job.id, "object": "fine_tuning.job", "created_at": job.created_at, "finished_at": job.finished_at,
        "model": job.model, "base_model": job.base_model, "fine_tuned_model": job.fine_tuned_model,
        "organization_id": "org-local", "status": job.status,
        "hyperparameters": job.method[kind]["hyperparameters"] if kind == "supervised" else None,
        "method": job.method, "training_file": job.training_file, "validation_file": job.validation_file,
        "result_files": job.result_files, "trained_tokens": job.trained_tokens, "error": job.error, "seed": job.seed,
        "estimated_finish": job.estimated_finish if job.status == "running" else None,
        "integrations": (job.integrations or {}).get("list", []), "metadata": job.metadata_,
        "user_provided_suffix": job.suffix, "usage_metrics": None, "shared_with_openai": False,
        "evaluation": job.evaluation,
    }  # fmt: skip


def event_object(event: Event) -> dict[str, Any]:
    return {
        "id": event.id, "object": "fine_tuning.job.event", "created_at": event.created_at, "level": event.level,
        "message": event.message, "type": event.type, "data": event.data,
    }  # fmt: skip


def checkpoint_object(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "id": checkpoint.id, "object": "fine_tuning.job.checkpoint", "created_at": checkpoint.created_at,
        "fine_tuned_model_checkpoint": checkpoint.model, "fine_tuning_job_id": checkpoint.job_id,
        "metrics": checkpoint.metrics, "step_number": checkpoint.step_number,
    }  # fmt: skip
