"""The weights that a job goes on from: a tuned model's merged ones, or a checkpoint's, merged when first asked for."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from data.user_error import UserError
from serve.api_settings import ApiSettings
from serve.jobs.recipe_file import run_folder
from serve.storage.tables import Model
from train.manifest import FILE_NAME

ROOT = Path(__file__).parents[2]
TRAINING = "training.json"
"""Of train.adapter, which would import torch."""


def start_folder(settings: ApiSettings, tuned: Model) -> Path:
    """Raises UserError when there are none."""
    run, adapter = run_folder(settings, tuned.job_id), Path(tuned.adapter)
    if adapter == run / "adapter":
        return run / "merged"
    folder = adapter.with_name(f"{adapter.name}-merged")
    with adapter.with_name(f"{adapter.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / FILE_NAME).is_file():
            _merge(run, adapter, Path(tuned.base), folder)
    return folder


def _merge(run: Path, adapter: Path, base: Path, folder: Path) -> None:
    if not (run / "adapter" / TRAINING).is_file():
        raise UserError("a checkpoint of a job that did not succeed cannot be trained on", where="model")
    shutil.copy2(run / "adapter" / TRAINING, adapter / TRAINING)  # the run's, which the trainer writes at its end
    rows = run / "rows" / "test.jsonl"
    command = [sys.executable, "-m", "train.merge", str(adapter), str(folder), f"--base={base}", f"--rows={rows}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("error: ")
        raise UserError(f"the checkpoint cannot be merged: {reason}", where="model")
