"""A model folder with random weights: right for time and memory where no weights can be had, for nothing else."""

import json
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from train.weight_files import Entry, ShardWriter, row_blocks

LLAMA3_8B: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False,
    "bos_token_id": 128000, "eos_token_id": 128009, "dtype": "bfloat16",
}  # fmt: skip
"""The config of Meta-Llama-3-8B."""
SHARD_BYTES = 4 << 30


def write_config(config: dict[str, Any], tokenizer_folder: Path, out: Path) -> None:
    """A folder of which `train.bench` makes a random network: a config, and the tokenizer of another one."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    AutoTokenizer.from_pretrained(tokenizer_folder).save_pretrained(out)


def write_random_weights(folder: Path, seed: int = 7) -> None:
    """Beside the config in `folder`: bf16 weights in shards, a block of them in memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}  # tied ones once
    random = torch.Generator().manual_seed(seed)
    for name, keys in _shards(shapes).items():
        with ShardWriter(
            folder / name, {key: Entry("BF16", shapes[key], 2 * prod(shapes[key])) for key in keys}
        ) as file:
            for key in keys:
                for rows in row_blocks(shapes[key]):
                    size = (rows.stop - rows.start, *shapes[key][1:])
                    is_norm = len(shapes[key]) == 1
                    values = torch.ones(size) if is_norm else torch.empty(size).normal_(std=0.02, generator=random)
                    file.write(key, rows, values.to(torch.bfloat16))
    places = {key: name for name, keys in _shards(shapes).items() for key in keys}
    index = {"metadata": {"total_size": 2 * sum(map(prod, shapes.values()))}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _shards(shapes: dict[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """The tensors of each file, in order."""
    ends = accumulate(2 * prod(shape) for shape in shapes.values())
    numbers = [(end - 1) // SHARD_BYTES for end in ends]
    names = {number: f"model-{number + 1:05}-of-{numbers[-1] + 1:05}.safetensors" for number in numbers}
    shards: dict[str, list[str]] = {name: [] for name in names.values()}
    for key, number in zip(shapes, numbers, strict=True):
        shards[names[number]].append(key)
    return shards
