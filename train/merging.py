"""An adapter into its base: fp32 sums, bf16 weights, and the proof that the result says what the adapter said."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens import TrainableTokensLayer
from transformers import AutoModelForCausalLM

from data.render import IGNORE, Rendered
from data.user_error import UserError
from train.base_model import WEIGHTS
from train.settings import MergeSection


class MergeCheck(NamedTuple):
    """Merged model against base + adapter, on the trained positions of real rows."""

    rows: int
    positions: int
    max_logit_difference: float
    mean_logit_difference: float
    agreement: float
    """Share of positions where both put the same token first."""
    tolerance: float
    min_agreement: float

    def require(self) -> None:
        if self.max_logit_difference > self.tolerance or self.agreement < self.min_agreement:
            raise UserError(
                f"the merged model differs from the adapter: logits by up to {self.max_logit_difference:.3f} "
                f"(allowed {self.tolerance}), same first token at {self.agreement:.2%} of {self.positions} positions "
                f"(at least {self.min_agreement:.0%})",
                where="merge",
                fix="keep the adapter, or raise merge.max_logit_difference if your evaluation shows no loss",
            )


def merge_adapter(base: Path, adapter: Path, out: Path, rows: list[Rendered], section: MergeSection) -> MergeCheck:
    """Write the merged model's folder (weights and the base's other files) and compare it with the adapter.

    Raises UserError when they differ by more than `section` allows; `out` is then not written.
    """
    model = load_adapted(base, adapter)
    expected = trained_logits(model, rows)
    merged = fold(model).to(torch.bfloat16)
    shutil.rmtree(out, ignore_errors=True)
    merged.save_pretrained(out)
    del model, merged
    _copy_other_files(base, out)
    given = trained_logits(_load(out), rows)
    return compare(expected, given, len(rows), section)


def load_adapted(base: Path, adapter: Path) -> Any:
    if not (adapter / "adapter_config.json").is_file():
        raise UserError("no adapter here", where=str(adapter), fix="give the folder that train.sft wrote")
    return PeftModel.from_pretrained(_load(base), adapter).eval()


def fold(model: Any) -> Any:
    """Add every adapter's delta to its fp32 weight: rounding to bf16 comes once, after the sum."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            _fold_lora(name, module)
        elif isinstance(module, TrainableTokensLayer):
            module.merge()
    return model.unload()


@torch.no_grad()
def _fold_lora(name: str, layer: Any) -> None:
    [adapter] = layer.active_adapters
    if layer.use_dora.get(adapter):
        raise UserError(f"{name}: DoRA adapters cannot be merged here", where="lora.use_dora", fix="train without it")
    weight = layer.get_base_layer().weight
    assert weight.dtype == torch.float32, weight.dtype
    weight.add_(layer.get_delta_weight(adapter))


@torch.no_grad()
def trained_logits(model: Any, rows: list[Rendered]) -> torch.Tensor:
    """Logits [positions, vocabulary], fp32 on CPU, that predict each trained token of the rows."""
    logits = []
    for row in rows:
        ids = torch.tensor([row.input_ids], device=model.device)
        positions = torch.tensor([i - 1 for i, label in enumerate(row.labels) if label != IGNORE], device=model.device)
        logits.append(model(input_ids=ids, logits_to_keep=positions).logits[0].float().cpu())
    return torch.cat(logits)


def compare(expected: torch.Tensor, given: torch.Tensor, num_rows: int, section: MergeSection) -> MergeCheck:
    difference = (expected - given).abs()
    agreement = (expected.argmax(-1) == given.argmax(-1)).float().mean().item()
    return MergeCheck(
        rows=num_rows,
        positions=len(expected),
        max_logit_difference=round(difference.max().item(), 4),
        mean_logit_difference=round(difference.mean().item(), 5),
        agreement=round(agreement, 5),
        tolerance=section.max_logit_difference,
        min_agreement=section.min_agreement,
    )


def _load(folder: Path) -> Any:
    """In fp32, since bf16 arithmetic alone moves logits by more than a merge does (LOG.md, 2026-11-21); on the GPU
    where it fits, else on the CPU."""
    num_bytes = 2 * sum(file.stat().st_size for pattern in WEIGHTS for file in folder.glob(pattern))
    fits = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 1.3 * num_bytes
    device = "cuda" if fits else "cpu"
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map=device).eval()


def _copy_other_files(base: Path, out: Path) -> None:
    """Tokenizer, template and generation config as the base folder has them: served as trained."""
    weights = {file.name for pattern in WEIGHTS for file in base.glob(pattern)}
    for file in base.iterdir():
        if file.name not in weights and file.name not in ("config.json", "calltune.json"):
            shutil.copy(file, out / file.name)
