"""Which checkpoint a restarted training may continue from."""

import hashlib
import json
import shutil
from pathlib import Path

from data.user_error import UserError
from train.settings import TrainRecipe

KEY_FILE = "recipe.sha256"


def training_key(recipe: TrainRecipe, data_sha256: str) -> str:
    """Hash of everything that shapes the training: other settings may change without starting anew."""
    sections = recipe.model_dump(mode="json", include={"model", "template", "lora", "quantization", "sft", "dpo"})
    return hashlib.sha256(json.dumps([sections, data_sha256], sort_keys=True).encode()).hexdigest()


def resume_point(folder: Path, key: str, *, restart: bool) -> Path | None:
    """The last whole checkpoint of this very training, or None to begin.

    A checkpoint is whole when its trainer_state.json can be read: the trainer writes it last, so a kill in the middle
    of a save leaves a folder without it. Raises UserError when the checkpoints belong to other settings or data.
    """
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / KEY_FILE
    whole = [path for path in sorted(folder.glob("checkpoint-*"), key=_step) if _is_whole(path)]
    if whole and key_file.is_file() and key_file.read_text() != key:
        raise UserError(
            "the checkpoints are of a training with other settings or rows",
            where=str(folder),
            fix="add --restart to begin anew, or give the recipe another name",
        )
    key_file.write_text(key)
    return whole[-1] if whole else None


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _is_whole(path: Path) -> bool:
    try:
        json.loads((path / "trainer_state.json").read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return True
