"""A whole recipe: the sections of every room, from one YAML file."""

from pathlib import Path

from eval.settings import EvalSection, GateSection
from serve.settings import ServeSection
from train.settings import TrainRecipe


class Recipe(TrainRecipe):
    serve: ServeSection = ServeSection()
    eval: EvalSection = EvalSection()
    gate: GateSection = GateSection()
    accelerate: Path | None = None
    """Configuration for `accelerate launch`, as in train/accelerate; None trains in one process on one device."""
