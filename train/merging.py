"""Adapters into their base, shard by shard, and the proof that the result says what the adapter said.

One shard of the base and the adapter are in memory while merging, whatever the model's size: each weight is taken as
fp32, the adapter's delta is added, and the sum is rounded to bf16 once.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from data.user_error import UserError
from train.base_model import WEIGHTS
from train.deltas import AdapterDeltas, Combination, combined_weight
from train.four_bit import as_quantized, quantized_weights
from train.settings import QuantizationSection

INDEX = "model.safetensors.index.json"


def merge_shards(
    base: Path, adapters: list[Path], out: Path, combination: Combination, quantization: QuantizationSection | None
) -> None:
    """Write the merged model's folder: weights in the base's shards, and the base's other files.

    With `quantization` the adapter is added to what the weights were while it was trained: the base's 4-bit values.
    Raises UserError for an adapter that changes a weight the base does not have.
    """
    deltas = [AdapterDeltas(adapter) for adapter in adapters]
    quantized = quantized_weights(base) if quantization else frozenset()
    _require_weights(base, deltas)
    out.mkdir(parents=True)
    sizes: dict[str, int] = {}
    for shard in sorted(base.glob("*.safetensors")):
        tensors = {}
        with safe_open(shard, "pt") as file:
            for key in file.keys():  # noqa: SIM118, no mapping
                weight = file.get_tensor(key)
                if quantization and key in quantized:
                    weight = as_quantized(weight, quantization)
                tensors[key] = merged_weight(key, weight, deltas, combination)
        save_file(tensors, out / shard.name, metadata={"format": "pt"})
        sizes |= {key: tensor.nbytes for key, tensor in tensors.items()}
    _copy_other_files(base, out, sum(sizes.values()))


@torch.no_grad()
def merged_weight(
    key: str, weight: torch.Tensor, adapters: list[AdapterDeltas], combination: Combination
) -> torch.Tensor:
    """bf16, also where no adapter changes it; tensors that are not floats stay as they are."""
    if not weight.is_floating_point():
        return weight
    return combined_weight(key, weight.float(), adapters, combination).to(torch.bfloat16)


def _require_weights(base: Path, adapters: list[AdapterDeltas]) -> None:
    there: set[str] = set()
    for shard in base.glob("*.safetensors"):
        with safe_open(shard, "pt") as file:
            there.update(file.keys())
    for adapter in adapters:
        if missing := sorted(adapter.keys - there):
            raise UserError(
                f"changes {len(missing)} weights that {base} does not have, {missing[0]} first",
                where=str(adapter.folder), fix="give the base that it was trained on, with --base",
            )  # fmt: skip


def _copy_other_files(base: Path, out: Path, num_bytes: int) -> None:
    """Tokenizer, template and generation config as the base folder has them: served as trained."""
    weights = {file.name for pattern in WEIGHTS for file in base.glob(pattern)}
    for file in base.iterdir():
        if file.is_file() and file.name not in weights and file.name not in ("config.json", "calltune.json"):
            shutil.copy(file, out / file.name)
    config: dict[str, Any] = json.loads((base / "config.json").read_text())
    config.pop("torch_dtype", None)
    (out / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}, indent=2) + "\n")
    if (base / INDEX).is_file():
        index = json.loads((base / INDEX).read_text())
        index["metadata"] = index.get("metadata", {}) | {"total_size": num_bytes}
        (out / INDEX).write_text(json.dumps(index, indent=2) + "\n")
