"""The preference stage after SFT: accelerate launch -m train.dpo RECIPE [section.key=value ...] [--dry-run] [--restart]

RECIPE has a `dpo` section, and its `model` is the merged folder of an SFT run. Reads the pairs of `preferences.files`
and of runs/NAME/rows/pairs.jsonl (`data.pairs`), trains a new adapter with TRL's DPO trainer and writes
runs/NAME/adapter, which train.merge merges like any other. A killed training goes on from its last checkpoint.

The reference model is the model with its adapter switched off, so there is no second copy of the weights. That is why
the SFT adapter is merged first: with it still an adapter, switching off would give the model before SFT, and the pull
towards the reference would undo the SFT.
"""

import argparse
import os
from pathlib import Path

import torch
from accelerate import PartialState
from rich.console import Console
from transformers import AutoModelForCausalLM

from data.colour import coloured
from data.reading import read_rows
from data.row_store import RowStore
from data.settings import load_settings
from data.template import load_template
from data.user_error import UserError, run_program
from train.adapter import save_adapter
from train.arguments import dpo_config, lora_config, quantization_config
from train.checkpoints import resume_point, training_key
from train.inputs import make_inputs
from train.metrics import MetricsFile
from train.preferences import PairExamples, TokenPairTrainer, load_pairs
from train.settings import TrainRecipe
from train.traps import require_gradients, untrained_tokens

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--dry-run", action="store_true", help="resolve, check, render one pair, stop before the model")
    parser.add_argument("--restart", action="store_true", help="begin anew: throw away this run's checkpoints")
    args = parser.parse_args()
    recipe = load_settings(args.recipe, args.overrides, TrainRecipe)
    arguments, lora = dpo_config(recipe), lora_config(recipe)

    if arguments.use_cpu and PartialState().num_processes == 1:
        torch.set_num_threads(os.cpu_count() or 1)  # accelerate launch leaves one thread to each process
    store, base, template = RowStore(recipe.folder / "rows"), recipe.folder / "base", load_template(recipe.template)
    with PartialState().local_main_process_first():
        tokenizer = make_inputs(recipe, base, store)
    own = [store.pairs] if store.pairs.is_file() else []
    files = [*recipe.preferences.files, *own]
    examples = load_pairs(files, read_rows(store.test), tokenizer, template, recipe.max_length)
    if PartialState().is_main_process:
        show(examples, tokenizer)
    if args.dry_run:
        return

    key = training_key(recipe, examples.sha256)
    checkpoint = resume_point(Path(arguments.output_dir), key, restart=args.restart)
    quantized = quantization_config(recipe)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="bfloat16", quantization_config=quantized)
    require_tuned(untrained_tokens(model, tokenizer, template))
    trainer = TokenPairTrainer(
        model=model,
        args=arguments,
        train_dataset=examples.dataset,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[MetricsFile(recipe.folder / "events.jsonl")],
    )
    require_gradients(trainer.model)
    console.print(f"resuming from {checkpoint}" if checkpoint else "starting from step 0")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_adapter(trainer, recipe, key, examples, examples.sha256)
    if trainer.accelerator.is_main_process:
        console.print(f"adapter: {recipe.folder / 'adapter'}")


def require_tuned(untrained: list[str]) -> None:
    if untrained:
        what = f"the model never trained {', '.join(untrained)}: it was not tuned"
        raise UserError(what, where="model.path", fix="run train.sft and train.merge first, and give the merged folder")


def show(examples: PairExamples, tokenizer: object) -> None:
    """One pair in colour: what is made likelier, then what is made less likely."""
    for title, row in zip(("better", "worse"), examples.first, strict=True):
        console.rule(title)
        console.print(coloured(row, tokenizer), soft_wrap=True)
    console.print(
        f"{len(examples.dataset)} pairs ({examples.num_too_long} too long and left out), {examples.num_tokens:,} "
        f"tokens, {examples.num_trained:,} of answers ({examples.num_trained / examples.num_tokens:.1%})"
    )


if __name__ == "__main__":
    run_program(main)
