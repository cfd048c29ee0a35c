"""What the steps of a run compute, counted from its rows before it is run."""

from random import Random
from typing import NamedTuple

from peft import LoraConfig
from trl import SFTConfig

from train.cpu_dtype import cpu_dtype
from train.examples import Examples
from train.packing import PackCollator
from train.settings import TrainRecipe

SAMPLED_STEPS = 64
"""Laid out as packs to count their tokens; the others are taken to be like them."""


class Load(NamedTuple):
    tokens_at_once: int
    """Of one forward on one device."""
    trained_at_once: int
    row_length: int
    """Twice the mean number of tokens that one looks back on."""
    tokens_in_all: int
    """Computed in all epochs on all devices."""
    rank: int
    targets: list[str] | None
    """Linear layers with LoRA; None: all."""
    is_4bit: bool
    is_checkpointed: bool
    is_packed: bool = False
    value_bytes: int = 2
    """Of weights and activations: 2 in bf16, 4 in fp32."""


def load_of(
    recipe: TrainRecipe, arguments: SFTConfig, lora: LoraConfig, examples: Examples, *, on_cpu: bool = False
) -> Load:
    is_bf16 = recipe.sft.get("bf16", not on_cpu or cpu_dtype() == "bfloat16")  # of the device asked for, not of this
    padded = padded_load(recipe, arguments, lora, examples)._replace(value_bytes=2 if is_bf16 else 4)
    return packed_load(padded, recipe.pack_tokens, arguments, examples, on_cpu=on_cpu) if recipe.pack_tokens else padded


def padded_load(recipe: TrainRecipe, arguments: SFTConfig, lora: LoraConfig, examples: Examples) -> Load:
    """Rows padded to the longest of a batch, the longest of all in memory."""
    lengths = sorted(map(len, examples.dataset["input_ids"]))
    rows, epochs = arguments.per_device_train_batch_size, arguments.num_train_epochs
    if arguments.max_steps > 0:
        epochs = arguments.max_steps * rows * arguments.gradient_accumulation_steps / len(lengths)
    targets = None if lora.target_modules == "all-linear" else sorted(lora.target_modules)
    return Load(
        tokens_at_once=rows * lengths[-1],
        trained_at_once=round(rows * examples.num_trained / len(lengths)),
        row_length=round(examples.num_tokens / len(lengths)),
        tokens_in_all=round(epochs * examples.num_tokens),
        rank=lora.r,
        targets=targets,
        is_4bit=recipe.quantization is not None,
        is_checkpointed=arguments.gradient_checkpointing,
    )


def packed_load(padded: Load, pack_tokens: int, arguments: SFTConfig, examples: Examples, *, on_cpu: bool) -> Load:
    """The packs of some random steps, their largest in memory: what rows of a step share is computed once."""
    rows = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    order = Random(arguments.seed).sample(range(len(examples.dataset)), len(examples.dataset))[: rows * SAMPLED_STEPS]
    collate = PackCollator(0, pack_tokens, on_cpu=on_cpu)
    batches = [[examples.dataset[number] for number in order[at : at + rows]] for at in range(0, len(order), rows)]
    packs = [pack for batch in batches for pack in collate(batch)["packs"]]
    computed = sum(pack["input_ids"].numel() for pack in packs)
    largest = max(packs, key=lambda pack: int(pack["input_ids"].numel()))
    return padded._replace(
        tokens_at_once=largest["input_ids"].numel(),
        trained_at_once=max(len(pack["targets"]) for pack in packs),
        row_length=round(2 * sum(int(pack["position_ids"].sum()) for pack in packs) / computed),
        tokens_in_all=round(padded.tokens_in_all * computed / sum(pack["num_row_tokens"] for pack in packs)),
        is_packed=True,
    )
