"""What one process of `train.bench` is given, builds and gives back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback
from trl import SFTConfig, SFTTrainer

from data.render import IGNORE
from train.arguments import LORA_DEFAULTS, SFT_DEFAULTS, device_defaults, four_bit, model_dtype
from train.settings import QuantizationSection
from train.trainers import PackedTrainer

Way = Literal["ours", "trl padded", "trl packed"]
WAYS: tuple[Way, ...] = get_args(Way)
TRL_PACK_LENGTH = 2048


class Job(NamedTuple):
    model: str
    """A folder with weights, or with a config alone, whose network is then random."""
    rows_per_step: int
    micro_batch: int
    """Rows that TRL pads together."""
    checkpointing: bool
    """TRL's default: without it 8 long rows at once do not fit on many machines."""
    steps: int
    pack_tokens: int
    way: Way = "ours"
    rows: str = ""
    """A file of {"input_ids": [...], "labels": [...]}, one a line."""
    is_4bit: bool = False
    """QLoRA; the folder must have weights."""


class Result(NamedTuple):
    seconds: list[float]
    """Of each step, the first ones included."""
    losses: list[float]
    row_tokens: list[int]
    """Of each step: tokens of its rows, tokens computed, tokens trained, rows."""
    computed_tokens: list[int]
    trained_tokens: list[int]
    rows: list[int]
    peak_bytes: int


class StepCounts:
    """Counts what a step holds where every way must pass: in its collator."""

    def __init__(self, collator: Any) -> None:
        self.collator = collator
        self.batches: list[dict[str, int]] = []

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        batch = self.collator(features)
        packs = batch.get("packs", [batch])
        self.batches.append({
            "row_tokens": sum(len(feature["input_ids"]) for feature in features),
            "computed_tokens": sum(pack["input_ids"].numel() for pack in packs),
            "trained_tokens": sum(label != IGNORE for feature in features for label in feature["labels"]),
            "rows": sum(len(feature.get("seq_lengths", [0])) for feature in features),
        })  # fmt: skip
        return batch

    def of_steps(self, batches_per_step: int, steps: int) -> dict[str, list[int]]:
        groups = [self.batches[step * batches_per_step :][:batches_per_step] for step in range(steps)]
        return {key: [sum(batch[key] for batch in group) for group in groups] for key in self.batches[0]}


def load_model(job: Job) -> Any:
    torch.manual_seed(7)
    dtype = model_dtype(bf16=device_defaults()["bf16"])
    if list(Path(job.model).glob("*.safetensors")):
        quantized = four_bit(QuantizationSection(), dtype) if job.is_4bit else None
        return AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype, quantization_config=quantized)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(job.model), dtype=dtype)


def make_trainer(
    job: Job, model: Any, tokenizer: Any, clock: TrainerCallback
) -> tuple[SFTTrainer, Callable[[], dict[str, list[int]]]]:
    """A trainer of `job.steps` steps, and what its steps held, to be asked afterwards."""
    lines = map(json.loads, Path(job.rows).read_text().splitlines())
    dataset = Dataset.from_list([{key: line[key] for key in ("input_ids", "labels")} for line in lines])
    given = _batches(job, list(map(len, dataset["input_ids"])))
    args = SFTConfig(**SFT_DEFAULTS | device_defaults() | given | {
        "output_dir": str(Path(job.rows).with_suffix("")), "max_steps": job.steps, "save_strategy": "no",
        "disable_tqdm": True, "lr_scheduler_type": "constant",
    })  # fmt: skip
    options = {"pack_tokens": job.pack_tokens} if job.way == "ours" else {}
    trainer = (PackedTrainer if job.way == "ours" else SFTTrainer)(
        model=model, args=args, train_dataset=dataset, processing_class=tokenizer,
        peft_config=LoraConfig(**LORA_DEFAULTS), callbacks=[clock], **options,
    )  # fmt: skip
    trainer.data_collator = counts = StepCounts(trainer.data_collator)
    return trainer, lambda: counts.of_steps(trainer.args.gradient_accumulation_steps, job.steps)


def _batches(job: Job, lengths: list[int]) -> dict[str, Any]:
    """TRL's settings for about `rows_per_step` rows a step."""
    checkpointing = {"gradient_checkpointing": job.checkpointing}
    if job.way == "ours":
        return {**checkpointing, "per_device_train_batch_size": job.rows_per_step, "max_length": None}
    if job.way == "trl padded":
        accumulation = job.rows_per_step // job.micro_batch
        batches = {"per_device_train_batch_size": job.micro_batch, "max_length": None}
    else:
        # One sequence a batch: TRL flattens several into one, whose dense mask on CPU makes every row pay for all.
        length = max(TRL_PACK_LENGTH, *lengths)
        accumulation = max(1, round(job.rows_per_step * sum(lengths) / len(lengths) / length))
        batches = {"per_device_train_batch_size": 1, "packing": True, "max_length": length}
    return {**batches, **checkpointing, "gradient_accumulation_steps": accumulation}


def peak_memory() -> int:
    """Largest bytes held: on a GPU what torch allocated there, else this process's resident memory (VmHWM)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
