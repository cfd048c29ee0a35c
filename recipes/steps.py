"""The steps of a run, what each depends on, and which are done already."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from data.reading import file_sha256
from data.template import load_template
from data.whole_file import write_whole
from eval.suite_file import files_of
from recipes.recipe import Recipe
from train.base_model import installed_versions
from train.manifest import FILE_NAME as MANIFEST


class Step(NamedTuple):
    name: str
    sections: tuple[str, ...]
    """Recipe sections that shape its result."""
    after: tuple[str, ...]
    """Steps whose results it reads."""
    outputs: tuple[str, ...]
    """Files and folders of the run folder that it leaves."""
    run: Callable[[], None]
    reads: tuple[str, ...] = ()
    """Files of the run folder whose bytes decide, beside the steps before it: they may be made anew by hand."""


class Ledger:
    """runs/NAME/steps.json: a step is done when its key is the one it was done with and its outputs are there."""

    def __init__(self, recipe: Recipe) -> None:
        self.folder = recipe.folder
        self.path = recipe.folder / "steps.json"
        self.done: dict[str, Any] = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self.keys: dict[str, str] = {}
        self.recipe = recipe

    def is_done(self, step: Step) -> bool:
        """Also notes the step's key; ask in the order of the steps."""
        sections = self.recipe.model_dump(mode="json", include=set(step.sections))
        inputs = [sections, [self.keys[name] for name in step.after], _fixed_inputs(self.recipe, step)]
        inputs += [file_sha256(path) for path in (self.folder / name for name in step.reads) if path.is_file()]
        key = hashlib.sha256(json.dumps([step.name, inputs], sort_keys=True).encode()).hexdigest()
        self.keys[step.name] = key
        there = all((self.folder / output).exists() for output in step.outputs)
        return there and self.done.get(step.name, {}).get("key") == key

    def note(self, step: Step, seconds: float, peak_bytes: int) -> None:
        self.done[step.name] = {
            "key": self.keys[step.name],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": round(seconds, 1),
            "peak_memory_gib": round(peak_bytes / 2**30, 2),
        }
        write_whole(self.path, json.dumps(self.done, indent=2) + "\n")


def _fixed_inputs(recipe: Recipe, step: Step) -> Any:
    """What the named sections do not show: the longest row, the template's and the data files' bytes, the packages."""
    files = recipe.data.files if "data" in step.sections else []
    files += files_of(recipe.eval.suites) if "eval" in step.sections else []
    files += recipe.preferences.files if "preferences" in step.sections else []
    tuned = Path(recipe.model.path) / MANIFEST  # of a preference stage: changes whenever the model is tuned anew
    if "model" in step.sections and tuned.is_file():
        files = [*files, tuned]
    return [
        load_template(recipe.template).sha256,
        recipe.max_length,
        [file_sha256(path) for path in files],
        installed_versions(),
    ]
