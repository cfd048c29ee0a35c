"""Supervised fine-tuning: accelerate launch -m train.sft RECIPE [section.key=value ...] [--dry-run] [--restart]

Reads runs/NAME/base and runs/NAME/rows (made when missing), trains a LoRA adapter with TRL on assistant turns alone,
and writes runs/NAME/adapter. A killed training goes on from its last checkpoint.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from rich.console import Console
from transformers import AutoModelForCausalLM

from data.colour import coloured, legend
from data.reading import file_sha256
from data.row_store import RowStore
from data.settings import load_settings
from data.template import load_template
from data.user_error import run_program
from train.adapter import save_adapter
from train.arguments import lora_config, quantization_config, sft_config
from train.checkpoints import resume_point, training_key
from train.estimate import Load, estimate, estimate_lines, model_shape, padded_load, parse_device
from train.examples import Examples, load_examples
from train.inputs import make_inputs
from train.metrics import MetricsFile
from train.settings import TrainRecipe
from train.trainers import LabelledLossTrainer, PackedTrainer
from train.traps import require_gradients, trainable_token_indices, untrained_tokens

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--dry-run", action="store_true", help="resolve, check, render one row, stop before the model")
    parser.add_argument("--gpu", help="dry run: memory and time on it: h100, l4-24, ... or GiB:TFLOP/s")
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="dry run: how many share the work")
    parser.add_argument("--restart", action="store_true", help="begin anew: throw away this run's checkpoints")
    args = parser.parse_args()
    recipe = load_settings(args.recipe, args.overrides, TrainRecipe)
    arguments, lora = sft_config(recipe), lora_config(recipe)

    if arguments.use_cpu and PartialState().num_processes == 1:
        torch.set_num_threads(os.cpu_count() or 1)  # accelerate launch leaves one thread to each process
    store, base, template = RowStore(recipe.folder / "rows"), recipe.folder / "base", load_template(recipe.template)
    with PartialState().local_main_process_first():
        tokenizer = make_inputs(recipe, base, store)
    examples = load_examples(store, tokenizer, template)
    if PartialState().is_main_process:
        show(examples, tokenizer)
    if args.dry_run:
        if args.gpu:
            tell_needs(padded_load(recipe, arguments, lora, examples), recipe, args.gpu, args.gpus)
        return

    data_sha256 = file_sha256(store.train)
    key = training_key(recipe, data_sha256)
    checkpoint = resume_point(Path(arguments.output_dir), key, restart=args.restart)
    quantized = quantization_config(recipe)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="bfloat16", quantization_config=quantized)
    untrained = untrained_tokens(model, tokenizer, template)
    indices = trainable_token_indices(model, tokenizer, untrained)
    if indices:
        console.print(f"mended: training the embeddings of {', '.join(untrained)}, which the base never trained")
        lora = lora_config(recipe, indices)
    trainer = make_trainer(
        recipe,
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
    save_adapter(trainer, recipe, key, examples, data_sha256)
    if trainer.accelerator.is_main_process:
        console.print(f"adapter: {recipe.folder / 'adapter'}")


def make_trainer(recipe: TrainRecipe, **options: Any) -> LabelledLossTrainer:
    if recipe.pack_tokens:
        return PackedTrainer(pack_tokens=recipe.pack_tokens, **options)
    return LabelledLossTrainer(**options)


def tell_needs(load: Load, recipe: TrainRecipe, gpu: str, num_gpus: int) -> None:
    """Memory and time of the run on GPUs that need not be here."""
    device, is_sharded = parse_device(gpu), "fsdp" in str(recipe.accelerate)
    found = estimate(model_shape(recipe.folder / "base"), load, device, num_gpus, is_sharded=is_sharded)
    console.print("\n".join(estimate_lines(found, device, num_gpus)), highlight=False)


def show(examples: Examples, tokenizer: object) -> None:
    """One coloured row and the share of trained tokens: what the loss will see."""
    console.print(coloured(examples.first, tokenizer), soft_wrap=True)
    console.print(legend())
    share = examples.num_trained / examples.num_tokens
    console.print(
        f"{len(examples.dataset)} rows, {examples.num_tokens:,} tokens, "
        f"{examples.num_trained:,} trained ({share:.1%}): assistant text, calls and end tokens"
    )


if __name__ == "__main__":
    run_program(main)
