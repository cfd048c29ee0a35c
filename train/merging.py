"""Adapters into their base, tensor by tensor.

A few blocks of weights and what the adapter adds to them are in memory while merging, whatever the model's size: each
weight is taken as fp32, the adapter's delta is added, and the sum is rounded to bf16 once (`train.rounding`).
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any
from zlib import crc32

import torch

from data.user_error import UserError
from train.base_model import WEIGHTS
from train.deltas import AdapterDeltas, Combination, combined_weight
from train.four_bit import as_quantized, quantized_weights
from train.rounding import round_by_chance
from train.settings import QuantizationSection, Rounding
from train.weight_files import Buffer, Entry, ShardWriter, WeightFiles, row_blocks

INDEX = "model.safetensors.index.json"
NUM_WORKERS = 3
"""Blocks at once (recipes/RESULTS.md, "Merge")."""
_OF_THREAD = local()


class Scratch:
    """What a block is computed in."""

    def __init__(self) -> None:
        self.read, self.rounded = Buffer(torch.uint8), Buffer(torch.bfloat16)
        self.sum, self.delta = Buffer(torch.float32), Buffer(torch.float32)


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

    @property
    def can_share(self) -> bool:
        """Whether several blocks may be computed at once: dare draws from torch's one generator, and whole weights of
        a large model are too large."""
        return not self._quantization and self._combination.method == "linear"

    @torch.no_grad()
    def values(self, key: str, rows: slice, scratch: Scratch | None = None) -> torch.Tensor:
        """fp32, unrounded; in `scratch` until the next is asked for, in new memory without one."""
        scratch = scratch or Scratch()
        weight = self.before(key, rows, scratch)
        return combined_weight(key, weight, self._adapters, self._combination, rows, scratch.delta)

    def before(self, key: str, rows: slice, scratch: Scratch | None = None) -> torch.Tensor:
        """What the adapters were trained on: the base's own values, or what 4 bits make of them; fp32."""
        scratch = scratch or Scratch()
        weight = self.files.rows(key, rows, scratch.read)
        if self._quantization and key in self._quantized:
            weight = as_quantized(weight, self._quantization)
        return scratch.sum.of(weight.shape).copy_(weight)

    @torch.no_grad()
    def merged(self, key: str, rows: slice, scratch: Scratch, rounding: Rounding) -> torch.Tensor:
        """As they are written: in bf16, rounded once. What is no float, or in bf16 and not changed, stays as it is."""
        entry = self.files.entry(key)
        is_same = key not in self._quantized and not any(key in adapter.keys for adapter in self._adapters)
        if not entry.is_float or (is_same and entry.dtype == "BF16"):
            return self.files.rows(key, rows, scratch.read)
        values = self.values(key, rows, scratch)
        if rounding == "stochastic":
            values = round_by_chance(values, crc32(f"{key}:{rows.start}".encode()))
        return scratch.rounded.of(values.shape).copy_(values)


def merge_shards(
    base: Path, adapters: list[Path], out: Path, combination: Combination, quantization: QuantizationSection | None,
    rounding: Rounding = "nearest",
) -> None:  # fmt: skip
    """Write the merged model's folder: weights in the base's shards, all in bf16, and the base's other files.

    Raises UserError as `MergedWeights` does.
    """
    weights = MergedWeights(base, adapters, combination, quantization)
    out.mkdir(parents=True)
    num_bytes = 0
    workers = NUM_WORKERS if weights.can_share else 1
    with _threads(workers) as pool:  # new threads for each shard would leave their scratch in glibc's arenas
        for shard, entries in weights.files.shards.items():
            merged = {key: _merged_entry(entry) for key, entry in entries.items()}
            blocks = [(key, rows) for key in entries for rows in weights.blocks(key)]
            with ShardWriter(out / shard.name, merged) as file:
                _do_all([pool.submit(_merge_block, weights, file, key, rows, rounding) for key, rows in blocks])
            num_bytes += sum(entry.num_bytes for entry in merged.values())
    _copy_other_files(base, out, num_bytes)


def _do_all(blocks: list[Future[None]]) -> None:
    """Raises what one raises, and when nothing of the others runs any more."""
    try:
        for block in blocks:
            block.result()
    finally:
        for block in blocks:
            block.cancel()
        wait(blocks)


def _merge_block(weights: MergedWeights, file: ShardWriter, key: str, rows: slice, rounding: Rounding) -> None:
    """In a thread that has its own scratch: while one waits for the disk the others compute."""
    if not hasattr(_OF_THREAD, "scratch"):
        _OF_THREAD.scratch = Scratch()
    file.write(key, rows, weights.merged(key, rows, _OF_THREAD.scratch, rounding))


@contextmanager
def _threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that compute side by side, each alone: torch's own would wait for each other in every small step."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if number > 1 else before)
    try:
        with ThreadPoolExecutor(number) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


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
