"""Memory and time of a LoRA training before it is run, from shapes alone.

Activations are counted as Korthikanti et al. 2022 ("Reducing Activation Recomputation in Large Transformer Models",
section 4) count them, for a Llama block whose frozen matrices still need their inputs, because LoRA's own are trained
on them. Time is 4 FLOPs a parameter and token (forward 2, gradients of the activations 2; none of frozen weights), 6
with checkpointing, and those of attention, at a share of the device's peak. A value takes 2 bytes, or 4 where the
run computes in fp32 (`train.cpu_dtype`).
"""

import re
from pathlib import Path
from typing import NamedTuple

from transformers import AutoConfig

from data.user_error import UserError
from train.load import Load

GIB = 2**30
PEAK_SHARE = 0.4
"""Of a card's peak in dense bf16: 12,500 tokens a second of LoRA on an 8B model, the best published figure for an H100,
are 4 x 8.0e9 x 12,500 = 400 of its 989 TFLOP/s."""
CPU_PEAK_SHARE = 0.65
"""Of what a product of large matrices of the type computed in reaches on the same cores; measured
(recipes/RESULTS.md)."""
NF4_BYTES = 4.127 / 8
"""A value in 4 bits with double quantisation (Dettmers et al. 2023, "QLoRA", section 3)."""


class Device(NamedTuple):
    name: str
    memory_gib: float
    peak_tflops: float
    """Dense bf16, from the maker's data sheet; of a CPU what it computes in, as measured."""
    is_cpu: bool = False

    @property
    def peak_share(self) -> float:
        return CPU_PEAK_SHARE if self.is_cpu else PEAK_SHARE


DEVICES = {
    device.name: device
    for device in (
        Device("h200", 139.8, 989), Device("h100", 79.6, 989), Device("a100-80", 79.3, 312),
        Device("l40s-48", 44.5, 362), Device("a10g-24", 22.3, 125), Device("l4-24", 22.3, 121),
        Device("rtx4090-24", 23.6, 165),
    )
}  # fmt: skip


class Shape(NamedTuple):
    """Of a Llama-like decoder."""

    hidden: int
    intermediate: int
    layers: int
    query: int
    """Width of the queries: heads x head size."""
    key: int
    """Width of the keys, and of the values."""
    vocabulary: int
    is_tied: bool
    heads: int

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear layer of a block."""
        h, m = self.hidden, self.intermediate
        return {
            "q_proj": (h, self.query), "k_proj": (h, self.key), "v_proj": (h, self.key), "o_proj": (self.query, h),
            "gate_proj": (h, m), "up_proj": (h, m), "down_proj": (m, h),
        }  # fmt: skip

    @property
    def linear_parameters(self) -> int:
        return self.layers * sum(into * out for into, out in self.matrices.values())

    @property
    def other_parameters(self) -> int:
        """Embeddings and norms."""
        return (1 if self.is_tied else 2) * self.vocabulary * self.hidden + (2 * self.layers + 1) * self.hidden


class Estimate(NamedTuple):
    weights: float
    adapter: float
    """With its gradients and AdamW's two moments."""
    activations: float
    logits: float
    overhead: float
    """The program itself, and what the allocator cannot use."""
    seconds: float

    @property
    def memory(self) -> float:
        """Bytes on one device."""
        return self.weights + self.adapter + self.activations + self.logits + self.overhead


def model_shape(folder: Path) -> Shape:
    config = AutoConfig.from_pretrained(folder)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads * head,
        config.num_key_value_heads * head, config.vocab_size, bool(config.tie_word_embeddings),
        config.num_attention_heads,
    )  # fmt: skip


def estimate(shape: Shape, load: Load, device: Device, num_devices: int = 1, *, is_sharded: bool = False) -> Estimate:
    """Each device holds the whole model, as with DDP, or, as with FSDP, its part of weights and adapter."""
    targets = [into + out for name, (into, out) in shape.matrices.items() if not load.targets or name in load.targets]
    adapter = shape.layers * load.rank * sum(targets)
    size = load.value_bytes
    weights = (NF4_BYTES if load.is_4bit else size) * shape.linear_parameters + size * shape.other_parameters
    if is_sharded:
        weights, adapter = weights / num_devices, adapter // num_devices
    block = load.tokens_at_once * (_block_bytes(shape, size) + (_score_bytes(shape, load) if device.is_cpu else 0))
    inputs = load.tokens_at_once * size * shape.hidden * shape.layers  # of each block: the rest is made again
    kept = inputs + block if load.is_checkpointed else shape.layers * block
    # Their logarithm, its gradient and that of the loss, in fp32 whatever is computed in.
    logits = load.trained_at_once * shape.vocabulary * 3 * 4
    state = (2 + 2 + 4) if load.is_4bit else (4 + 4 + 8)  # TRL keeps QLoRA's adapter in bf16
    held = weights + state * adapter + kept + logits
    flops = load.tokens_in_all * flops_per_token(shape, load.row_length, is_checkpointed=load.is_checkpointed)
    seconds = flops / (num_devices * device.peak_share * device.peak_tflops * 1e12)
    return Estimate(weights, state * adapter, kept, logits, GIB + 0.05 * held, seconds)


def flops_per_token(shape: Shape, row_length: int, *, is_checkpointed: bool) -> int:
    """Of one computed token, there and back, with what checkpointing computes again; without the head."""
    passes = 3 if is_checkpointed else 2
    attention = 2 * shape.layers * shape.query * row_length  # two products, causal: half of the row
    return passes * 2 * shape.linear_parameters + (passes + 1) * attention


def _block_bytes(shape: Shape, size: int) -> int:
    """What one token leaves in one block for the way back, in bytes; values of `size` bytes."""
    # Input, its fp32 copy, the normalised fp32, what goes on in bf16; in fp32 there is no copy.
    norms = 2 * (2 + 4 + 4 + 2 if size == 2 else 4 + 4 + 4) * shape.hidden
    attention = size * (2 * shape.query + 2 * shape.key)  # queries, keys, values and what comes out
    feed_forward = 4 * size * shape.intermediate  # gate, its activation, up, their product
    return norms + attention + feed_forward


def _score_bytes(shape: Shape, load: Load) -> int:
    """The attention weights of one token in one block, which `train.tree_attention` keeps on CPU, in bytes."""
    return round(load.value_bytes * shape.heads * load.row_length / 2) if load.is_packed else 0


def parse_device(text: str) -> Device:
    """`h100`, or `MEMORY:PEAK` in GiB and TFLOP/s, of a CPU `cpu:MEMORY:PEAK`. Raises UserError."""
    if text in DEVICES:
        return DEVICES[text]
    if found := re.fullmatch(r"(cpu:)?([\d.]+):([\d.]+)", text):
        return Device(text, float(found[2]), float(found[3]), is_cpu=found[1] is not None)
    raise UserError(
        f"no GPU {text!r} is known", where="--gpu",
        fix=f"give {', '.join(DEVICES)}, or GiB:TFLOP/s, for example 47:362",
    )  # fmt: skip


def estimate_lines(found: Estimate, device: Device, num_devices: int) -> list[str]:
    """What a dry run prints."""
    parts = {name: getattr(found, name) / GIB for name in ("weights", "adapter", "activations", "logits", "overhead")}
    fits = "fits" if found.memory < device.memory_gib * GIB else "DOES NOT FIT"
    listed = ", ".join(f"{name} {size:.1f}" for name, size in parts.items())
    cards = f"{num_devices} x {device.name}" if num_devices > 1 else device.name
    hours, minutes = divmod(round(found.seconds / 60), 60)
    return [
        f"memory on {device.name}: {found.memory / GIB:.1f} of {device.memory_gib:.1f} GiB, {fits} ({listed})",
        f"time on {cards}: {hours} h {minutes:02d} min at {device.peak_share:.0%} of {device.peak_tflops:g} TFLOP/s",
    ]
