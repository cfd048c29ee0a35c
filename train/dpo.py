"""The preference stage after SFT: accelerate launch -m train.dpo RECIPE [section.key=value ...] [--dry-run] [--restart]

RECIPE has a `dpo` section, and its `model` is the merged folder of an SFT run. Reads the pairs of `preferences.files`
and of runs/NAME/rows/pairs.jsonl (`data.pairs`), trains a new adapter with TRL's DPO trainer and writes
runs/NAME/adapter, which train.merge merges like any other. A killed training goes on from its last checkpoint.

The reference model is the model with its adapter switched off, so there is no second copy of the weights. That is why
the SFT adapter is merged first: with it still an adapter, switching off would give the model before SFT, and the pull
towards the reference would undo the SFT.
"""

from accelerate import PartialState
from rich.console import Console

from data.colour import coloured
from data.reading import read_rows
from data.settings import load_settings
from data.user_error import UserError, run_program
from train.arguments import dpo_config, lora_config
from train.preferences import PairExamples, TokenPairTrainer, load_pairs
from train.settings import TrainRecipe
from train.stage import begin, find_origin, load_model, stage_parser, train_adapter
from train.traps import untrained_tokens

console = Console()


def main() -> None:
    args = stage_parser(__doc__).parse_args()
    recipe = load_settings(args.recipe, args.overrides, TrainRecipe)
    arguments, lora = dpo_config(recipe), lora_config(recipe)

    stage = begin(recipe, arguments)
    own = [stage.store.pairs] if stage.store.pairs.is_file() else []
    files = [*recipe.preferences.files, *own]
    held_out = read_rows(stage.store.test) if recipe.data.rules.leak == "error" else []
    examples = load_pairs(files, held_out, stage.tokenizer, stage.template, recipe.max_length)
    if PartialState().is_main_process:
        show(examples, stage.tokenizer)
    if args.dry_run:
        return

    origin = find_origin(stage, examples.sha256, restart=args.restart)
    model = load_model(stage)
    require_tuned(untrained_tokens(model, stage.tokenizer, stage.template))
    trainer = TokenPairTrainer(
        model=model,
        args=arguments,
        train_dataset=examples.dataset,
        processing_class=stage.tokenizer,
        peft_config=lora,
    )
    train_adapter(trainer, stage, origin, examples)


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
