"""Names of tuned models: ft:BASE:ORGANIZATION:SUFFIX:ID, the suffix empty where none was asked for."""

from serve.storage.ids import random_text
from serve.storage.tables import Job


def model_name(job: Job, organization: str) -> str:
    return f"ft:{job.base_model}:{organization}:{job.suffix or ''}:{random_text(8)}"


def checkpoint_name(job: Job, organization: str, step: int) -> str:
    return f"{model_name(job, organization)}:ckpt-step-{step}"
