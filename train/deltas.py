"""What adapters add to the weights of their base, one weight at a time: nothing but that weight need be in memory."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from peft import LoraConfig
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from peft.utils.other import get_pattern_key
from safetensors import safe_open

from data.user_error import UserError
from train.weight_files import Buffer

Method = Literal["linear", "ties", "dare_linear", "dare_ties"]
_PREFIX = "base_model.model."
_TOKENS = ".token_adapter.trainable_tokens_delta"


class Combination(NamedTuple):
    """How the deltas of several adapters become one, in PEFT's functions and words: `linear` is their weighted sum,
    `ties` (Yadav et al. 2023) keeps the largest `density` of each and the sign that most agree on, `dare_*`
    (Yu et al. 2024) keeps a random `density` and scales it up."""

    method: Method
    weights: list[float]
    density: float = 0.5
    seed: int = 7

    def of(self, key: str, deltas: list[torch.Tensor]) -> torch.Tensor:
        if self.method == "linear" and self.weights == [1.0]:
            return deltas[0]  # which PEFT's function would copy three times
        weights = torch.tensor(self.weights)
        if self.method == "linear":
            total: torch.Tensor = task_arithmetic(deltas, weights)
            return total
        functions: dict[str, Callable[..., torch.Tensor]]
        functions = {"ties": ties, "dare_linear": dare_linear, "dare_ties": dare_ties}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + zlib.crc32(key.encode()))  # the same whatever came before this weight
            return functions[self.method](deltas, weights, density=self.density)


class AdapterDeltas:
    """The deltas of a PEFT LoRA adapter. Raises UserError for what cannot be added to a weight."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "adapter_config.json").is_file():
            raise UserError("no adapter here", where=str(folder), fix="give the folder that train.sft wrote")
        self.folder = folder
        self.config = LoraConfig.from_pretrained(folder)
        if self.config.use_dora:
            raise UserError("DoRA adapters cannot be merged here", where=str(folder), fix="train without lora.use_dora")
        self._file: Any = safe_open(folder / "adapter_model.safetensors", "pt")
        names = self._file.keys()  # type: ignore[no-untyped-call]
        self._names: dict[str, str] = {name.removeprefix(_PREFIX): name for name in names}
        self.keys = {self._key_of(name) for name in self._names}
        """The base's weights that it changes."""

    def of(self, key: str, weight: torch.Tensor, rows: slice = slice(None), into: Buffer | None = None) -> torch.Tensor:
        """What to add to `weight`, which is `rows` of the base's fp32 weight of this name; of its shape."""
        module = key.removesuffix(".weight")
        if f"{module}.lora_A.weight" in self._names:
            down = self.tensor(f"{module}.lora_A.weight")
            if down.dim() != 2:
                raise UserError(f"{module}: LoRA on a convolution cannot be merged here", where=str(self.folder))
            up, scaling = f"{module}.lora_B.weight", self._scaling(module, len(down))
            if self.config.fan_in_fan_out:
                return (down.T[rows] @ self.tensor(up).T).mul_(scaling)
            delta = (into or Buffer(torch.float32)).of(weight.shape)
            return torch.mm(self.tensor(up, rows), down, out=delta).mul_(scaling)
        if module + _TOKENS in self._names:
            delta = torch.zeros_like(weight)
            start = rows.start or 0
            for trained, values in zip(self._trained_rows(module), self.tensor(module + _TOKENS), strict=True):
                if start <= trained < start + len(weight):
                    delta[trained - start] = values - weight[trained - start]
            return delta
        return self.tensor(key, rows) - weight  # a module trained whole (modules_to_save)

    def shape(self, key: str, num_rows: int) -> tuple[int, ...]:
        """Of the weight that it was trained beside; where it only knows some rows of that, as if it had `num_rows`."""
        module = key.removesuffix(".weight")
        if f"{module}.lora_A.weight" in self._names:
            into, out = self._shape(f"{module}.lora_A.weight")[-1], self._shape(f"{module}.lora_B.weight")[0]
            return (into, out) if self.config.fan_in_fan_out else (out, into)
        return self._shape(key) if key in self._names else (num_rows, self._shape(module + _TOKENS)[-1])

    def _key_of(self, name: str) -> str:
        for ending in (".lora_A.weight", ".lora_B.weight", _TOKENS):
            if name.endswith(ending):
                return name.removesuffix(ending) + ".weight"
        if name.endswith(".weight") and ".lora_" not in name:
            return name
        raise UserError(f"{name} cannot be merged into a weight", where=str(self.folder), fix="serve the adapter as is")

    def tensor(self, name: str, rows: slice = slice(None)) -> torch.Tensor:
        """A tensor of the adapter by its module's name, or some rows of it, in fp32."""
        tensor: torch.Tensor = self._file.get_slice(self._names[name])[rows]
        return tensor.float()

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(self._names[name]).get_shape())

    def _scaling(self, module: str, rank: int) -> float:
        alpha = self.config.alpha_pattern.get(
            get_pattern_key(self.config.alpha_pattern.keys(), module), self.config.lora_alpha
        )
        return float(alpha / rank**0.5 if self.config.use_rslora else alpha / rank)

    def _trained_rows(self, module: str) -> list[int]:
        indices = self.config.trainable_token_indices
        return (
            indices
            if isinstance(indices, list)
            else next(rows for name, rows in (indices or {}).items() if module.endswith(name))
        )


def combined_weight(
    key: str,
    weight: torch.Tensor,
    adapters: list[AdapterDeltas],
    combination: Combination,
    rows: slice = slice(None),
    into: Buffer | None = None,
) -> torch.Tensor:
    """`weight`, fp32 and `rows` of the whole, with what the adapters add to it, in place: the sum in fp32.

    Only `linear` can be asked for less than all rows. `into`, fp32, holds the delta of a single adapter.
    """
    changing = [
        (adapter, share) for adapter, share in zip(adapters, combination.weights, strict=True) if key in adapter.keys
    ]
    if not changing:
        return weight
    deltas = [adapter.of(key, weight, rows, into if len(changing) == 1 else None) for adapter, _ in changing]
    part = combination._replace(weights=[share for _, share in changing])
    return weight.add_(part.of(key, deltas))
