"""A causal language model computed with one layer of it in memory at a time, whatever its size.

Every row goes through a layer before the next one is loaded, so the weights are read once. What each layer is called
with (masks, rotary embeddings) is what the model's own forward gives it: it is run once a row with layers that only
take note.
"""

from typing import Any, NamedTuple

import torch
from accelerate import init_empty_weights
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from data.render import IGNORE, Rendered
from train.deltas import AdapterDeltas
from train.merging import MergedWeights


class TrainedLogits(NamedTuple):
    logits: torch.Tensor
    """[positions, vocabulary], fp32 on CPU: what predicts each trained token of the rows."""
    labels: torch.Tensor
    """[positions]"""

    @property
    def loss(self) -> float:
        """Mean cross-entropy of a trained token, in nats."""
        return torch.nn.functional.cross_entropy(self.logits, self.labels).item()


class LayeredModel:
    """Computes in fp32, since bf16 arithmetic alone moves logits by more than a merge does (LOG.md, 2026-11-21); on
    the GPU where there is one."""

    def __init__(self, weights: MergedWeights, lora: AdapterDeltas | None = None) -> None:
        """With `lora` its layers are PEFT's own, beside the weights as they were, and not what `weights` makes of them:
        so that the one can be compared with the other."""
        self._weights, self._lora = weights, lora
        with init_empty_weights():
            config = AutoConfig.from_pretrained(weights.files.folder)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        self._decoder = model.get_decoder()
        self._prefix = next(name for name, module in model.named_modules() if module is self._decoder)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if lora:
            settings = LoraConfig.from_pretrained(lora.folder, inference_mode=True)
            settings.modules_to_save, settings.trainable_token_indices = None, None  # `weights` has these
            get_peft_model(model, settings, low_cpu_mem_usage=True).eval()  # puts its layers into `model`

    @torch.no_grad()
    def trained_logits(self, rows: list[Rendered]) -> TrainedLogits:
        """Logits that predict each trained token of the rows, computed in fp32."""
        lengths = [len(row.input_ids) for row in rows]
        embedded = self._embedded([token for row in rows for token in row.input_ids])
        hidden: list[torch.Tensor] = list(torch.split(embedded, lengths, dim=1))
        norm = self._loaded(self._decoder.norm, f"{self._prefix}.norm")
        calls = [self._calls(states) for states in hidden]  # [row][layer]
        for number, layer in enumerate(self._decoder.layers):
            self._loaded(layer, f"{self._prefix}.layers.{number}")
            hidden = [layer(states, **call[number]) for states, call in zip(hidden, calls, strict=True)]
            layer.to("meta")
        positions = [[i for i, label in enumerate(row.labels) if label != IGNORE] for row in rows]
        before = [norm(states)[0, [i - 1 for i in places]] for states, places in zip(hidden, positions, strict=True)]
        labels = [row.labels[i] for row, places in zip(rows, positions, strict=True) for i in places]
        return TrainedLogits(self._head(torch.cat(before)), torch.tensor(labels))

    def _embedded(self, input_ids: list[int]) -> torch.Tensor:
        """[1, tokens, hidden size]"""
        key, ids = f"{self._prefix}.embed_tokens.weight", torch.tensor(input_ids)
        num_rows, width = self._weights.files.entry(key).shape
        embedded = torch.empty(len(ids), width)
        for rows in self._weights.blocks(key):
            start, stop, _ = rows.indices(num_rows)
            inside = (ids >= start) & (ids < stop)
            if inside.any():
                embedded[inside] = self._weights.values(key, rows)[ids[inside] - start]
        return embedded.unsqueeze(0).to(self._device)

    def _calls(self, states: torch.Tensor) -> list[dict[str, Any]]:
        """What the model calls each of its layers with, beside the hidden states."""
        calls: list[dict[str, Any]] = []

        def note(hidden_states: torch.Tensor, **given: Any) -> torch.Tensor:
            calls.append(given)
            return hidden_states

        for layer in self._decoder.layers:
            layer.forward = note
        self._decoder(inputs_embeds=states, use_cache=False)
        for layer in self._decoder.layers:
            del layer.forward
        return calls

    def _loaded(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        tensors = {}
        for parameter, _ in module.named_parameters():
            key = f"{name}.{parameter}"
            if ".lora_" in key and self._lora:
                tensors[parameter] = self._lora.tensor(key.replace(".default", ""))
            elif ".base_layer" in key:
                tensors[parameter] = self._weights.before(key.replace(".base_layer", ""), slice(None))
            else:
                tensors[parameter] = self._weights.values(key, slice(None))
        module.load_state_dict(tensors, strict=False, assign=True)
        return module.to(self._device)

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        """[positions, vocabulary] on CPU, some rows of the vocabulary at a time."""
        own, tied = "lm_head.weight", f"{self._prefix}.embed_tokens.weight"
        key = own if own in self._weights.files else tied
        blocks = self._weights.blocks(key)
        parts = [(hidden @ self._weights.values(key, rows).to(self._device).T).cpu() for rows in blocks]
        return torch.cat(parts, dim=1)
