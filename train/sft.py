"""Supervised fine-tuning: accelerate launch -m train.sft RECIPE [section.key=value ...] [--dry-run] [--restart]

Reads runs/NAME/base and runs/NAME/rows (made when missing), trains a LoRA adapter with TRL on assistant turns alone,
and writes runs/NAME/adapter. A killed training goes on from its last checkpoint.
"""

from typing import Any

from accelerate import PartialState
from rich.console import Console

from data.colour import coloured, legend
from data.reading import file_sha256
from data.settings import load_settings
from data.user_error import run_program
from train.arguments import lora_config, sft_config
from train.estimate import Device, estimate, estimate_lines, model_shape, parse_device
from train.examples import Examples, load_examples
from train.load import Load, load_of
from train.settings import TrainRecipe
from train.stage import begin, find_origin, load_model, stage_parser, train_adapter
from train.trainers import LabelledLossTrainer, PackedTrainer
from train.traps import trainable_token_indices, untrained_tokens

console = Console()


def main() -> None:
    parser = stage_parser(__doc__)
    parser.add_argument("--gpu", help="dry run: memory and time on it: h100, l4-24, ..., GiB:TFLOP/s, cpu:GiB:TFLOP/s")
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="dry run: how many share the work")
    args = parser.parse_args()
    recipe = load_settings(args.recipe, args.overrides, TrainRecipe)
    arguments, lora = sft_config(recipe), lora_config(recipe)

    stage = begin(recipe, arguments)
    examples = load_examples(stage.store, stage.tokenizer, stage.template)
    if PartialState().is_main_process:
        show(examples, stage.tokenizer)
    if args.dry_run:
        if args.gpu:
            device = parse_device(args.gpu)
            load = load_of(recipe, arguments, lora, examples, on_cpu=device.is_cpu)
            tell_needs(load, recipe, device, args.gpus)
        return

    origin = find_origin(stage, file_sha256(stage.store.train), restart=args.restart)
    model = load_model(stage)
    untrained = untrained_tokens(model, stage.tokenizer, stage.template)
    if indices := trainable_token_indices(model, stage.tokenizer, untrained):
        console.print(f"mended: training the embeddings of {', '.join(untrained)}, which the base never trained")
        lora = lora_config(recipe, indices)
    trainer = make_trainer(
        recipe,
        model=model,
        args=arguments,
        train_dataset=examples.dataset,
        eval_dataset=examples.validation,
        processing_class=stage.tokenizer,
        peft_config=lora,
    )
    train_adapter(trainer, stage, origin, examples)


def make_trainer(recipe: TrainRecipe, **options: Any) -> LabelledLossTrainer:
    if recipe.pack_tokens:
        return PackedTrainer(pack_tokens=recipe.pack_tokens, **options)
    return LabelledLossTrainer(**options)


def tell_needs(load: Load, recipe: TrainRecipe, device: Device, num_gpus: int) -> None:
    """Memory and time of the run on GPUs that need not be here."""
    is_sharded = "fsdp" in str(recipe.accelerate)
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
