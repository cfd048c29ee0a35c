"""Is the merged model the model that was trained? Logits and loss of both, on real rows."""

from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from data.render import IGNORE, Rendered
from data.user_error import UserError
from train.arguments import four_bit
from train.base_model import WEIGHTS
from train.deltas import AdapterDeltas, Combination, combined_weight
from train.four_bit import as_quantized, quantized_weights
from train.settings import MergeSection, QuantizationSection


class TrainedLogits(NamedTuple):
    logits: torch.Tensor
    """[positions, vocabulary], fp32 on CPU: what predicts each trained token of the rows."""
    labels: torch.Tensor
    """[positions]"""

    @property
    def loss(self) -> float:
        """Mean cross-entropy of a trained token, in nats."""
        return torch.nn.functional.cross_entropy(self.logits, self.labels).item()


class MergeCheck(NamedTuple):
    """Merged model against base + adapter, on the trained positions of real rows."""

    rows: int
    positions: int
    max_logit_difference: float
    mean_logit_difference: float
    agreement: float
    """Share of positions where both put the same token first."""
    adapter_loss: float
    merged_loss: float
    tolerance: float
    min_agreement: float
    max_loss_difference: float

    def require(self) -> None:
        loss_difference = abs(self.merged_loss - self.adapter_loss)
        if (
            self.max_logit_difference > self.tolerance
            or self.agreement < self.min_agreement
            or loss_difference > self.max_loss_difference
        ):
            raise UserError(
                f"the merged model differs from the adapter: logits by up to {self.max_logit_difference:.3f} "
                f"(allowed {self.tolerance}), same first token at {self.agreement:.2%} of {self.positions} positions "
                f"(at least {self.min_agreement:.0%}), loss by {loss_difference:.4f} "
                f"(allowed {self.max_loss_difference})",
                where="merge",
                fix="keep the adapter, or raise merge.max_logit_difference if your evaluation shows no loss",
            )


def compare(expected: TrainedLogits, given: TrainedLogits, num_rows: int, section: MergeSection) -> MergeCheck:
    difference = (expected.logits - given.logits).abs()
    agreement = (expected.logits.argmax(-1) == given.logits.argmax(-1)).float().mean().item()
    return MergeCheck(
        rows=num_rows,
        positions=len(expected.labels),
        max_logit_difference=round(difference.max().item(), 4),
        mean_logit_difference=round(difference.mean().item(), 5),
        agreement=round(agreement, 5),
        adapter_loss=round(expected.loss, 5),
        merged_loss=round(given.loss, 5),
        tolerance=section.max_logit_difference,
        min_agreement=section.min_agreement,
        max_loss_difference=section.max_loss_difference,
    )


def load_adapted(base: Path, adapter: Path, quantization: QuantizationSection | None = None) -> Any:
    """Base and adapter as they were trained: with `quantization` on 4-bit weights."""
    return PeftModel.from_pretrained(load_model(base, quantization), adapter).eval()


@torch.no_grad()
def load_combined(
    base: Path, adapters: list[Path], combination: Combination, quantization: QuantizationSection | None = None
) -> Any:
    """The base with the adapters' combined deltas added, unrounded: no adapter layer computes a combination."""
    model = load_model(base)
    deltas = [AdapterDeltas(adapter) for adapter in adapters]
    quantized = quantized_weights(base) if quantization else frozenset()
    for key, weight in model.named_parameters():
        values = as_quantized(weight, quantization) if quantization and key in quantized else weight.cpu()
        weight.copy_(combined_weight(key, values.float(), deltas, combination))
    return model


def load_model(folder: Path, quantization: QuantizationSection | None = None) -> Any:
    """Computing in fp32, since bf16 arithmetic alone moves logits by more than a merge does (LOG.md, 2026-11-21); on
    the GPU where that fits, else on the CPU. In bf16 only where neither holds the model in fp32."""
    num_bytes = 2 * sum(file.stat().st_size for pattern in WEIGHTS for file in folder.glob(pattern))
    on_gpu = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 1.3 * num_bytes
    dtype = torch.float32 if on_gpu or psutil.virtual_memory().available > 1.3 * num_bytes else torch.bfloat16
    config = four_bit(quantization, dtype) if quantization else None
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map="cuda" if on_gpu else "cpu", quantization_config=config
    ).eval()


@torch.no_grad()
def trained_logits(model: Any, rows: list[Rendered]) -> TrainedLogits:
    logits, labels = [], []
    for row in rows:
        ids = torch.tensor([row.input_ids], device=model.device)
        positions = [i for i, label in enumerate(row.labels) if label != IGNORE]
        before = torch.tensor(positions, device=model.device) - 1
        logits.append(model(input_ids=ids, logits_to_keep=before).logits[0].float().cpu())
        labels += [row.labels[i] for i in positions]
    return TrainedLogits(torch.cat(logits), torch.tensor(labels))
