"""The loss on labelled positions alone: few tokens are trained, and the vocabulary is wide.

Hidden states are selected before the projection onto the vocabulary, so that neither its products nor its logits are
computed for tokens without a label. TRL does so on GPU but scores every position on CPU.
"""

from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers.utils.generic import ModelOutput

from data.user_error import UserError

MAX_LOGITS = 1 << 26
"""Logits held at once (fp32: 256 MiB, and as much for their gradient); beyond it they are computed in parts, twice."""


HEADS_BEYOND_A_PROJECTION = (
    *("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling"),
)
"""Config keys of models that do more to their logits than project; TRL's list."""


@dataclass
class LabelledOutput(ModelOutput):  # type: ignore[misc]
    loss: torch.Tensor | None = None
    """Sum over the labelled positions."""
    num_correct: torch.Tensor | None = None
    """How many of them the model puts first."""


def add_labelled_loss(model: Any) -> None:
    """Let a causal language model's forward take `predictors` and `targets` and return LabelledOutput.

    It stays the model's own forward, so that the wrappers of DDP and FSDP, which sum gradients and gather weights
    around it, see every pass. Without `predictors` it is what it was.
    Raises UserError for a model whose logits are more than a projection.
    """
    config = model.config.get_text_config()
    for key in HEADS_BEYOND_A_PROJECTION:
        if getattr(config, key, None) not in (None, 1.0):
            raise UserError(
                f"its logits are not a projection alone: {key}", where="model.path", fix="use another model"
            )
    plain = model.forward

    def forward(
        self: Any, *args: Any, predictors: torch.Tensor | None = None, targets: Any = None, **kwargs: Any
    ) -> Any:
        if predictors is None:
            return plain(*args, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}  # PEFT names what it has not
        hidden = self.model(*args, **kwargs, use_cache=False).last_hidden_state
        return LabelledOutput(*labelled_loss(self.lm_head, hidden.flatten(0, 1)[predictors], targets))

    model.forward = MethodType(forward, model)


def labelled_loss(head: Any, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross entropy, and the number of right first choices, of `hidden` [N, size] against `targets` [N]."""
    rows = max(1, MAX_LOGITS // head.weight.shape[0])
    if len(targets) <= rows:
        return _loss_of(head, hidden, targets)
    parts = [
        checkpoint(_loss_of, head, hidden[start : start + rows], targets[start : start + rows], use_reentrant=False)
        for start in range(0, len(targets), rows)
    ]
    losses, counts = zip(*parts, strict=True)
    return torch.stack(losses).sum(), torch.stack(counts).sum()


def _loss_of(head: Any, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = head(hidden)
    with torch.no_grad():
        num_correct = (logits.argmax(-1) == targets).sum()
    return cross_entropy(logits.float(), targets, reduction="sum"), num_correct
