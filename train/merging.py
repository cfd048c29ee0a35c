"""Adapters into their base, tensor by tensor.

A block of one weight and what the adapter adds to it are in memory while merging, whatever the model's size: each
weight is taken as fp32, the adapter's delta is added, and the sum is rounded to bf16 once.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from data.user_error import UserError
from train.base_model import WEIGHTS
from train.deltas import AdapterDeltas, Combination, combined_weight
from train.four_bit import as_quantized, quantized_weights
from train.settings import QuantizationSection
from train.weight_files import Entry, ShardWriter, WeightFiles, row_blocks

INDEX = "model.safetensors.index.json"


class MergedWeights:
    """What the weights of the base are with adapters in them, computed block by block.

    With `quantization` the adapters are added to what the weights were while they were trained: 4-bit values.
    Raises UserError for an adapter that changes a weight the base does not have, or one of another shape.
    """

    def __init__(
        self, base: Path, adapters: list[Path], combination: Combination, quantization: QuantizationSection | None
    ) -> None:
        self.files = WeightFiles(base)
        self._adapters = [AdapterDeltas(adapter) for adapter in adapters]
        self._combination, self._quantization = combination, quantization
        self._quantized = quantized_weights(base) if quantization else frozenset()
        for adapter in self._adapters:
            _require_fit(adapter, self.files, base)

    def blocks(self, key: str) -> list[slice]:
        """The rows that can be computed at once: all of a weight that 4-bit blocks, ties or dare span."""
        entry = self.files.entry(key)
        is_changed = any(key in adapter.keys for adapter in self._adapters)
        is_whole = key in self._quantized or (is_changed and self._combination.method != "linear")
        return [slice(None)] if is_whole else list(row_blocks(entry.shape))

    @torch.no_grad()
    def values(self, key: str, rows: slice) -> torch.Tensor:
        """fp32, unrounded."""
        return combined_weight(key, self.before(key, rows), self._adapters, self._combination, rows)

    def before(self, key: str, rows: slice) -> torch.Tensor:
        """What the adapters were trained on: the base's own values, or what 4 bits make of them; fp32."""
        weight = self.files.rows(key, rows)
        if self._quantization and key in self._quantized:
            weight = as_quantized(weight, self._quantization)
        return weight.float()


def merge_shards(
    base: Path, adapters: list[Path], out: Path, combination: Combination, quantization: QuantizationSection | None
) -> None:
    """Write the merged model's folder: weights in the base's shards, all in bf16, and the base's other files.

    Raises UserError as `MergedWeights` does.
    """
    weights = MergedWeights(base, adapters, combination, quantization)
    out.mkdir(parents=True)
    num_bytes = 0
    for shard, entries in weights.files.shards.items():
        merged = {key: _merged_entry(entry) for key, entry in entries.items()}
        with ShardWriter(out / shard.name, merged) as file:
            for key, entry in entries.items():
                for rows in weights.blocks(key):
                    # What is no float stays as it is.
                    part = (
                        weights.values(key, rows).to(torch.bfloat16)
                        if entry.is_float
                        else weights.files.rows(key, rows)
                    )
                    file.write(part)
        num_bytes += sum(entry.num_bytes for entry in merged.values())
    _copy_other_files(base, out, num_bytes)


def _merged_entry(entry: Entry) -> Entry:
    if not entry.is_float:
        return entry
    return Entry("BF16", entry.shape, 2 * torch.Size(entry.shape).numel())


def _require_fit(adapter: AdapterDeltas, files: WeightFiles, base: Path) -> None:
    fix = "give the base that it was trained on, with --base"
    if missing := sorted(key for key in adapter.keys if key not in files):
        raise UserError(
            f"changes {len(missing)} weights that {base} does not have, {missing[0]} first",
            where=str(adapter.folder), fix=fix,
        )  # fmt: skip
    for key in sorted(adapter.keys):
        expected, given = files.entry(key).shape, adapter.shape(key, files.entry(key).shape[0])
        if given != expected:
            raise UserError(
                f"changes {key} as {list(given)}, which is {list(expected)} in {base}",
                where=str(adapter.folder), fix=fix,
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
