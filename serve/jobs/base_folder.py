"""The folder of a base model, made once from its recipe; trainings and vLLM start from the same one."""

import fcntl
import re
import subprocess
import sys
from pathlib import Path

from data.settings import load_settings
from data.user_error import UserError
from serve.api_settings import ApiSettings
from train.manifest import FILE_NAME
from train.settings import TrainRecipe

ROOT = Path(__file__).parents[2]


def base_recipe(settings: ApiSettings, base: str) -> TrainRecipe:
    """The recipe that a base's jobs start from. Raises UserError."""
    return load_settings(settings.bases[base], [], TrainRecipe)


def base_folder(settings: ApiSettings, base: str) -> Path:
    """Where the base's weights are; nothing is made."""
    return settings.storage.absolute() / "bases" / _folder_name(base) / "base"


def ensure_base(settings: ApiSettings, base: str) -> Path:
    """The base's folder, made when it is missing, which may take minutes; other processes wait meanwhile.

    Raises UserError when it cannot be made.
    """
    folder = base_folder(settings, base)
    if (folder / FILE_NAME).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / FILE_NAME).is_file():
            _build(settings, base, folder)
    return folder


def _build(settings: ApiSettings, base: str, folder: Path) -> None:
    recipe = str(settings.bases[base].absolute())
    command = [sys.executable, "-m", "train.base", recipe, f"name={folder.parent.name}", f"runs={folder.parents[1]}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("error: ")
        raise UserError(f"the base model {base!r} cannot be made: {reason}", where=recipe, fix="mend the recipe")


def _folder_name(base: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", base)
