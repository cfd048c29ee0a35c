"""Training batches whose rows share a prefix: the prefix is computed once, each row's own tokens after it.

Rows of one tool set begin with the same tool list, which is most of their tokens. Here a batch runs that common
prefix through the model once, keeps its keys and values (with their gradients), and runs the rows' own parts on top,
so every token sees exactly what it saw before: loss and gradients are those of the plain batch
(tests/train/test_shared_prefix.py), with about half the tokens computed at 8 rows a batch.
"""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import DynamicCache
from trl import SFTTrainer

from data.render import IGNORE
from data.user_error import UserError

Batch = dict[str, torch.Tensor]
WIDTH_STEP = 64


class SharedPrefixCollator:
    """Rows -> `prefix_ids` [1, P], and padded to the longest own part N: `input_ids`, `labels`, `position_ids`
    [rows, N], `attention_mask` [rows, P + N]."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, features: list[dict[str, list[int]]]) -> Batch:
        rows = [feature["input_ids"] for feature in features]
        # A label is predicted from the token before it, so that token must be a row's own.
        first_labels = [next(i for i, label in enumerate(f["labels"]) if label != IGNORE) for f in features]
        length = min(common_prefix_length(rows), min(first_labels) - 1)
        # Few distinct widths: CPU kernels are compiled anew for every shape.
        width = -(-(max(len(row) for row in rows) - length) // WIDTH_STEP) * WIDTH_STEP

        def padded(values: list[int], fill: int) -> list[int]:
            return values + [fill] * (width - len(values))

        return {
            "prefix_ids": torch.tensor([rows[0][:length]]),
            "input_ids": torch.tensor([padded(row[length:], self.pad_token_id) for row in rows]),
            "labels": torch.tensor([padded(feature["labels"][length:], IGNORE) for feature in features]),
            "position_ids": torch.arange(length, length + width).expand(len(rows), width),
            "attention_mask": torch.tensor([[1] * length + padded([1] * (len(row) - length), 0) for row in rows]),
        }


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
    num_rows = batch["input_ids"].shape[0]
    cache = DynamicCache()
    if batch["prefix_ids"].numel():
        model.model(input_ids=batch["prefix_ids"], past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(num_rows)
    own = {key: batch[key] for key in ("input_ids", "position_ids", "attention_mask")}
    hidden = model.model(**own, past_key_values=cache, use_cache=True).last_hidden_state
    labels = batch["labels"][:, 1:]
    is_labelled = labels != IGNORE
    return model.lm_head(hidden[:, :-1][is_labelled]), labels[is_labelled]


def common_prefix_length(rows: list[list[int]]) -> int:
    first, last = min(rows), max(rows)  # of sorted sequences, the extremes share the least
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return length


def require_shareable(arguments: Any, num_processes: int) -> None:
    """Refuse what would break it: checkpointing throws the prefix's keys away, DDP wants one forward a step."""
    if arguments.gradient_checkpointing:
        raise UserError(
            "share_prefix and sft.gradient_checkpointing exclude each other: checkpointing keeps no keys of the prefix",
            where="recipe",
            fix="set sft.gradient_checkpointing=false or share_prefix=false",
        )
    if num_processes > 1:
        raise UserError("share_prefix runs in one process", where="recipe", fix="set share_prefix=false")
