"""Is the merged model the model that was trained? Logits and loss of both, on real rows."""

from pathlib import Path
from typing import NamedTuple

from data.user_error import UserError
from train.deltas import AdapterDeltas, Combination
from train.layered_model import LayeredModel, TrainedLogits
from train.merging import MergedWeights
from train.settings import MergeSection, QuantizationSection

ONE = Combination("linear", [1.0])


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

    def require(
        self,
        what: str = "the merged model differs from the adapter",
        fix: str = "try merge.rounding=stochastic, keep the adapter, or raise merge.max_logit_difference if your "
        "evaluation shows no loss",
    ) -> None:
        loss_difference = abs(self.merged_loss - self.adapter_loss)
        if (
            self.max_logit_difference > self.tolerance
            or self.agreement < self.min_agreement
            or loss_difference > self.max_loss_difference
        ):
            raise UserError(
                f"{what}: logits by up to {self.max_logit_difference:.3f} "
                f"(allowed {self.tolerance}), same first token at {self.agreement:.2%} of {self.positions} positions "
                f"(at least {self.min_agreement:.0%}), loss by {loss_difference:.4f} "
                f"(allowed {self.max_loss_difference})",
                where="merge",
                fix=fix,
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


def adapted_model(
    base: Path, adapters: list[Path], combination: Combination, quantization: QuantizationSection | None = None
) -> LayeredModel:
    """The base with its adapter as trained: with `quantization` on 4-bit weights. One adapter is computed by PEFT's own
    layers; no such layer computes a combination of several, whose sum with the weights is taken unrounded."""
    weights = MergedWeights(base, adapters, combination, quantization)
    return LayeredModel(weights, AdapterDeltas(adapters[0]) if combination == ONE else None)


def merged_model(folder: Path) -> LayeredModel:
    return LayeredModel(MergedWeights(folder, [], Combination("linear", []), None))
