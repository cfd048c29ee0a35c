"""Random rows that begin alike, and a network to train on them."""

import random
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from data.render import IGNORE

VOCABULARY = 61
Feature = dict[str, list[int]]


def random_features(seed: int, *, longest: int = 40) -> list[Feature]:
    """One to nine rows; each goes on from a random place of an earlier one, or begins anew, or repeats one whole."""
    draw = random.Random(seed)
    features: list[Feature] = []
    for _ in range(draw.randint(1, 9)):
        earlier = draw.choice(features)["input_ids"] if features and draw.random() < 0.8 else []
        kept = earlier[: draw.randint(0, len(earlier))]
        own = [draw.randrange(VOCABULARY) for _ in range(draw.randint(0, longest))]
        input_ids = (kept + own) or [draw.randrange(VOCABULARY)]
        share = draw.choice([0.0, 0.1, 0.5, 1.0])  # of trained tokens; also inside what rows share
        labels = [token if draw.random() < share else IGNORE for token in input_ids]
        features.append({"input_ids": input_ids, "labels": labels})
    return features


def adapted_network(seed: int, dtype: torch.dtype = torch.float32) -> Any:
    """A Llama of two layers with grouped heads and a LoRA adapter that already does something."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True, pad_token_id=0,
    )  # fmt: skip
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(LlamaForCausalLM(config).to(dtype), lora)


def row_by_row_loss(model: Any, features: list[Feature]) -> torch.Tensor:
    """Each row alone and whole, summed: the definition that packing must not change."""
    losses = [torch.zeros(())]
    for feature in features:
        logits = model(input_ids=torch.tensor([feature["input_ids"]])).logits[0, :-1].float()
        labels = torch.tensor(feature["labels"][1:], dtype=torch.long)
        losses.append(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum"))
    return torch.stack(losses).sum()


def adapter_gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    if loss.requires_grad:
        loss.backward()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
