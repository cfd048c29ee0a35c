"""Names of tuned models: ft:BASE:ORGANIZATION:SUFFIX:ID, the suffix empty where none was asked for."""

from serve.storage.ids import random_text
from serve.storage.tables import Job

ORGANIZATION = "local"


def model_name(job: Job) -> str:
    return f"ft:{job.base_model}:{ORGANIZATION}:{job.suffix or ''}:{random_text(8)}"


def checkpoint_name(job: Job, step: int) -> str:
    return f"{model_name(job)}:ckpt-step-{step}"
