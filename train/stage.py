"""A stage of training, SFT or the preferences after it: what begins and ends alike in both programs."""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import PartialState
from rich.console import Console
from transformers import AutoModelForCausalLM, TrainingArguments

from data.row_store import RowStore
from data.template import Template, load_template
from train.adapter import save_adapter
from train.arguments import model_dtype, quantization_config
from train.checkpoints import resume_point, training_key
from train.examples import Examples
from train.inputs import make_inputs
from train.metrics import MetricsFile
from train.preferences import PairExamples
from train.settings import TrainRecipe
from train.traps import require_gradients

console = Console()


class Stage(NamedTuple):
    recipe: TrainRecipe
    arguments: TrainingArguments
    base: Path
    store: RowStore
    template: Template
    tokenizer: Any


class Origin(NamedTuple):
    """What the adapter comes from."""

    key: str
    """Of the settings and data that shape it."""
    data_sha256: str
    checkpoint: Path | None
    """The last whole one of this very training."""


def stage_parser(doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--dry-run", action="store_true", help="resolve, check, render one row, stop before the model")
    parser.add_argument("--restart", action="store_true", help="begin anew: throw away this run's checkpoints")
    return parser


def begin(recipe: TrainRecipe, arguments: TrainingArguments) -> Stage:
    """The base folder and the rows, made where missing by the first process of each machine."""
    if arguments.use_cpu and PartialState().num_processes == 1:
        torch.set_num_threads(os.cpu_count() or 1)  # accelerate launch leaves one thread to each process
    store, base, template = RowStore(recipe.folder / "rows"), recipe.folder / "base", load_template(recipe.template)
    with PartialState().local_main_process_first():
        tokenizer = make_inputs(recipe, base, store)
    return Stage(recipe, arguments, base, store, template, tokenizer)


def find_origin(stage: Stage, data_sha256: str, *, restart: bool) -> Origin:
    """Raises UserError when the checkpoints are of another training."""
    key = training_key(stage.recipe, data_sha256)
    return Origin(key, data_sha256, resume_point(Path(stage.arguments.output_dir), key, restart=restart))


def load_model(stage: Stage) -> Any:
    """The base model, its weights in 4 bits or what is computed in."""
    dtype = model_dtype(bf16=stage.arguments.bf16)
    quantized = quantization_config(stage.recipe, dtype)
    return AutoModelForCausalLM.from_pretrained(stage.base, dtype=dtype, quantization_config=quantized)


def train_adapter(trainer: Any, stage: Stage, origin: Origin, examples: Examples | PairExamples) -> None:
    """Train from the last checkpoint on and write runs/NAME/adapter; metrics go to runs/NAME/events.jsonl."""
    trainer.add_callback(MetricsFile(stage.recipe.folder / "events.jsonl"))
    require_gradients(trainer.model)
    checkpoint = origin.checkpoint
    console.print(f"resuming from {checkpoint}" if checkpoint else "starting from step 0")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_adapter(trainer, stage.recipe, origin.key, examples, origin.data_sha256)
    if trainer.accelerator.is_main_process:
        console.print(f"adapter: {stage.recipe.folder / 'adapter'}")
