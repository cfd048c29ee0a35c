"""Training batches whose rows share a prefix: the prefix is computed once, each row's own tokens after it.

Rows of one tool set begin with the same tool list, which is most of their tokens. Here a batch is one sequence, the
common prefix and then the rows' own parts; positions of each part go on from the prefix, and its tokens attend to the
prefix and to their own row. So every token sees exactly what it saw before: loss and gradients are those of the plain
batch (tests/train/test_shared_prefix.py), with about half the tokens computed at 4 rows a batch.
"""

from collections.abc import Iterator
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting
from transformers import AttentionInterface
from trl import SFTTrainer

from data.render import IGNORE
from data.user_error import UserError

Batch = dict[str, torch.Tensor]
ATTENTION = "shared_prefix"
OWN_STEP = 16
"""Own parts are padded to a multiple of this: CPU kernels are compiled anew for every shape."""


class SharedPrefixCollator:
    """Rows -> `input_ids`, `labels` and `position_ids` [1, T], the prefix and then the own parts, padded at their
    ends, where no real token sees the padding; and `own_lengths` [rows]."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, features: list[dict[str, list[int]]]) -> Batch:
        rows = [feature["input_ids"] for feature in features]
        # A label is predicted from the token before it, so that token must be a row's own.
        first_labels = [next(i for i, label in enumerate(f["labels"]) if label != IGNORE) for f in features]
        prefix = min(common_prefix_length(rows), min(first_labels) - 1)
        input_ids, labels, positions, own_lengths = rows[0][:prefix], [IGNORE] * prefix, list(range(prefix)), []
        for feature in features:
            own = len(feature["input_ids"]) - prefix
            padding = -own % OWN_STEP
            input_ids = input_ids + feature["input_ids"][prefix:] + [self.pad_token_id] * padding
            labels += feature["labels"][prefix:] + [IGNORE] * padding
            positions += range(prefix, prefix + own + padding)
            own_lengths.append(own + padding)
        return {
            "input_ids": torch.tensor([input_ids]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([positions]),
            "own_lengths": torch.tensor(own_lengths),
        }


def shared_prefix_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    own_lengths: torch.Tensor,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """`query` [1, heads, T, head size], `key` and `value` [1, key heads, T, head size] -> [1, T, heads, head size]."""
    if sliding_window or softcap:
        raise UserError(
            "share_prefix knows no sliding window and no softcap", where="recipe", fix="set share_prefix=false"
        )
    own = own_lengths.tolist()
    sizes = [query.shape[2] - sum(own), *own]
    queries, keys, values = (torch.split(tensor[0], sizes, dim=1) for tensor in (query, key, value))
    fused = query.device.type != "cpu"
    parts = [attend(queries[0], keys[0], values[0], scaling, fused=fused)]
    for q, k, v in zip(queries[1:], keys[1:], values[1:], strict=True):
        seen_keys, seen_values = torch.cat([keys[0], k], dim=1), torch.cat([values[0], v], dim=1)
        parts.append(attend(q, seen_keys, seen_values, scaling, fused=fused))
    return torch.cat(parts, dim=1).transpose(0, 1).unsqueeze(0), None


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, *, fused: bool) -> torch.Tensor:
    """The last tokens of a sequence attend to all before them: [heads, N, size] on [key heads, M, size], N <= M.

    The query heads of one key head are rows of one product, so no key is repeated. Two products and a softmax take
    half the time of torch's `fused` kernel on CPU, whose backward is slow there.
    """
    (heads, own, size), (key_heads, seen, _) = query.shape, key.shape
    folded = query.reshape(key_heads, heads // key_heads * own, size)
    hidden = torch.full((own, seen), float("-inf"), dtype=query.dtype, device=query.device).triu(seen - own + 1)
    mask = hidden.repeat(heads // key_heads, 1)
    if fused:
        out = torch.nn.functional.scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    else:
        scores = torch.baddbmm(mask.expand(key_heads, -1, -1), folded, key.transpose(1, 2), alpha=scaling)
        out = torch.softmax(scores, dim=-1) @ value
    return out.reshape(heads, own, size)


AttentionInterface.register(ATTENTION, shared_prefix_attention)


class SharedPrefixTrainer(SFTTrainer):
    """TRL's trainer with one method replaced, for its loss takes whole rows only.

    The vocabulary projection runs on labelled positions alone; TRL's does so on GPU but scores every position on CPU.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> "StepSampler":
        rows_per_step = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        lengths = [len(ids) for ids in (train_dataset or self.train_dataset)["input_ids"]]
        return StepSampler(lengths, rows_per_step, self.args.data_seed or self.args.seed)

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        # Under autocast PEFT's cast of every LoRA input to fp32 is undone at once, and is a tenth of a step.
        amp = self.accelerator.native_amp
        with self.accelerator.autocast(), disable_input_dtype_casting(model, active=amp):
            logits, labels = labelled_logits(self.accelerator.unwrap_model(model).get_base_model(), inputs)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
        metrics = self._metrics["train" if model.training else "eval"]
        metrics["mean_token_accuracy"].append((logits.argmax(-1) == labels).float().mean().item())
        return loss / (labels.numel() if num_items_in_batch is None else num_items_in_batch)


class StepSampler(torch.utils.data.Sampler[int]):
    """Rows in random order, the rows of one optimiser step sorted by length: its micro-batches then need little
    padding, and the step's gradient, a sum over the same rows, stays what it was. (Sorting wider than a step changes
    what a step sees: short rows are the no-call rows, and a step of those alone made the loss jump.)"""

    def __init__(self, lengths: list[int], rows_per_step: int, seed: int) -> None:
        self.lengths, self.rows_per_step, self.seed, self.epoch = lengths, rows_per_step, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        for start in range(0, len(order), self.rows_per_step):
            yield from sorted(order[start : start + self.rows_per_step], key=lambda row: self.lengths[row])


def labelled_logits(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [labelled positions, vocabulary] and their labels for a batch of the collator."""
    assert model.config._attn_implementation == ATTENTION, "under any other attention the rows would see one another"
    body = {key: value for key, value in batch.items() if key != "labels"}
    hidden = model.model(**body, use_cache=False).last_hidden_state
    labels = batch["labels"][:, 1:]
    is_labelled = labels != IGNORE
    return model.lm_head(hidden[:, :-1][is_labelled]), labels[is_labelled]


def common_prefix_length(rows: list[list[int]]) -> int:
    first, last = min(rows), max(rows)  # of sorted sequences, the extremes share the least
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return length


def require_one_process(num_processes: int) -> None:
    """The loss runs the model's body without the wrapper that would sum gradients over processes."""
    if num_processes > 1:
        raise UserError("share_prefix runs in one process", where="recipe", fix="set share_prefix=false")
