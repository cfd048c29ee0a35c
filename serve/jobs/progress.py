"""What a training has done so far, read from its run folder: steps and checkpoints become events."""

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.jobs.happenings import tell
from serve.jobs.model_names import checkpoint_name
from serve.storage.ids import new_id
from serve.storage.tables import Checkpoint, Event, Job, Model

REWARDS = {"train_reward_accuracy": "rewards/accuracies", "train_reward_margin": "rewards/margins"}
"""What TRL's DPO trainer logs beside the loss."""


class Progress:
    """Follows runs/NAME/events.jsonl from where it was left; a resumed training may tell a step again."""

    def __init__(self, folder: Path, n_epochs: float, organization: str) -> None:
        self.folder, self.n_epochs, self.organization = folder, n_epochs, organization
        self._offset = 0
        self._began: tuple[float, int] | None = None

    def new_steps(self) -> list[dict[str, Any]]:
        """The logs of steps that were written since the last look, whole lines only."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        logs = [json.loads(line) for line in whole.splitlines()]
        return [log for log in logs if "loss" in log and log.get("epoch")]

    def again(self) -> None:
        """Read from the start: what was read last could not be told."""
        self._offset = 0

    def tell_steps(self, session: Session, job: Job, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            step, total = log["step"], round(log["step"] / log["epoch"] * self.n_epochs)
            accuracy = log.get("mean_token_accuracy")
            data = {"step": step, "total_steps": total, "train_loss": log["loss"]}
            data |= {} if accuracy is None else {"train_mean_token_accuracy": accuracy}
            data |= {ours: log[trls] for ours, trls in REWARDS.items() if trls in log}
            message = f"Step {step}/{total}: training loss={log['loss']:.2f}"
            tell(session, job.id, f"step-{step}", message, data=data, is_metrics=True)
            job.step, job.total_steps = max(job.step, step), total
            self._began = self._began or (log["time"], step)
            began_at, first = self._began
            seconds = (log["time"] - began_at) / (step - first) if step > first else 0.0
            job.estimated_finish = int(time.time() + (total - step) * seconds)

    def tell_checkpoints(self, session: Session, job: Job, base: Path) -> None:
        """Epoch ends that are not the last one: each a model that can be asked at once."""
        for folder in sorted((self.folder / "checkpoints").glob("checkpoint-*"), key=step_of):
            step = step_of(folder)
            is_last = job.total_steps is not None and step >= job.total_steps
            if is_last or not (folder / "trainer_state.json").is_file() or job.total_steps is None:
                continue
            known = select(Checkpoint.seq).where(Checkpoint.job_id == job.id, Checkpoint.step_number == step)
            if session.scalar(known) is None:
                kept = keep_adapter(folder, self.folder / "kept" / f"step-{step}")
                _add_checkpoint(session, job, checkpoint_name(job, self.organization, step), step, base, kept)


def step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def keep_adapter(checkpoint: Path, kept: Path) -> Path:
    """The checkpoint's adapter where the trainer does not clear up; linked, not copied."""
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        target = kept / name
        target.unlink(missing_ok=True)
        target.hardlink_to(checkpoint / name)
    return kept


def metrics_at(session: Session, job_id: str, step: int) -> dict[str, Any]:
    rows = select(Event.data).where(Event.job_id == job_id, Event.key == f"step-{step}")
    data = session.scalar(rows) or {}
    return {key: data[key] for key in ("step", "train_loss", "train_mean_token_accuracy") if key in data}


def add_model(session: Session, job: Job, name: str, base: Path, adapter: Path) -> None:
    session.add(
        Model(
            id=name, project=job.project, created_at=int(time.time()), base_model=job.base_model, job_id=job.id,
            base=str(base), adapter=str(adapter),
        )
    )  # fmt: skip


def add_checkpoint_row(session: Session, job: Job, step: int, model: str) -> None:
    session.add(
        Checkpoint(
            id=new_id("ftckpt_"), job_id=job.id, created_at=int(time.time()), model=model, step_number=step,
            metrics=metrics_at(session, job.id, step),
        )
    )  # fmt: skip


def _add_checkpoint(session: Session, job: Job, name: str, step: int, base: Path, kept: Path) -> None:
    add_checkpoint_row(session, job, step, name)
    add_model(session, job, name, base, kept)
    message = f"Checkpoint created at step {step} with Snapshot ID: {name}"
    tell(session, job.id, f"checkpoint-{step}", message, data={})
