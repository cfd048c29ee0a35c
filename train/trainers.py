"""TRL's SFTTrainer with its loss replaced, which on CPU scores every position, and takes whole rows only."""

from collections import Counter
from contextlib import nullcontext
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting
from torch.nn.functional import pad
from transformers.trainer_utils import EvalLoopOutput
from trl import SFTTrainer

from data.render import IGNORE
from train.labelled_loss import add_labelled_loss
from train.packing import Pack, PackCollator
from train.tree_attention import CPU_ATTENTION, query_blocks, trie_block_mask

Batch = dict[str, Any]


class LabelledLossTrainer(SFTTrainer):
    """Rows padded to the longest of their batch, as TRL has them; the loss on labelled positions alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_labelled_loss(self.model.get_base_model())
        self._totals: Counter[str] = Counter()
        self._evaluated = torch.zeros(2)
        """Loss and number of the labelled tokens that this process has evaluated, summed."""

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Summed over this batch's trained tokens, divided by those of the whole step, all processes together."""
        assert not return_outputs, "there are no logits to return"
        self._count_tokens(inputs)
        loss, num_targets = self._summed_loss(model, inputs)
        if num_items_in_batch is None:
            return loss / max(1, num_targets)
        # As in TRL: DDP and FSDP average the gradients of the processes, which are to be summed.
        return loss.mul(self.accelerator.num_processes).div(num_items_in_batch)

    def _summed_loss(self, model: Any, inputs: Batch) -> tuple[torch.Tensor, int]:
        """Over the labelled tokens of a batch, and how many those are."""
        inputs = self._model_inputs(inputs)
        # Under autocast PEFT's cast of every LoRA input to fp32 is undone at once, and is a tenth of a step.
        with disable_input_dtype_casting(model, active=self.accelerator.native_amp):
            outputs = model(**inputs)
        num_targets = len(inputs["targets"])
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["mean_token_accuracy"].append(outputs.num_correct.item() / max(1, num_targets))
        return outputs.loss, num_targets

    @torch.no_grad()
    def prediction_step(
        self, model: Any, inputs: Batch, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, None, None]:
        """Mean loss of a batch, with no logits; `evaluation_loop` weighs tokens, as training does, and not batches."""
        before = self._evaluated
        for part in self._parts(self._prepare_inputs(inputs)):
            with self.compute_loss_context_manager():
                loss, num_targets = self._summed_loss(model, part)
            self._evaluated = self._evaluated + torch.tensor([loss.item(), num_targets])
        loss_sum, num_targets = (self._evaluated - before).tolist()
        return torch.tensor(loss_sum / max(1, num_targets), device=self.accelerator.device), None, None

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **options: Any) -> EvalLoopOutput:
        """The Trainer's own, with the loss of a labelled token in place of its mean over batches."""
        self._evaluated = torch.zeros(2)
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **options)
        total = self.accelerator.reduce(self._evaluated.to(self.accelerator.device))
        output.metrics[f"{metric_key_prefix}_loss"] = (total[0] / total[1]).item()
        return output

    def _parts(self, inputs: Batch) -> list[Batch]:
        """What goes through the model at once."""
        return [inputs]

    def _model_inputs(self, inputs: Batch) -> Batch:
        shifted = pad(inputs["labels"], (0, 1), value=IGNORE)[:, 1:].flatten()
        predictors = (shifted != IGNORE).nonzero().flatten()
        body = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        return {**body, "predictors": predictors, "targets": shifted[predictors]}

    def _count_tokens(self, inputs: Batch) -> None:
        self._add_to_totals(
            num_tokens=int(inputs["attention_mask"].sum()), num_computed_tokens=inputs["input_ids"].numel()
        )

    def _add_to_totals(self, **numbers: int) -> None:
        """`num_tokens` of rows, as TRL logs them, and of them `num_computed_tokens`; other processes' as this one's."""
        for name, number in numbers.items():
            self._totals[name] += number * self.accelerator.num_processes
            self._metrics["train"][name] = [self._totals[name]]


class PackedTrainer(LabelledLossTrainer):
    """A batch of its loader is all that an optimiser step has on this process, `per_device_train_batch_size` times
    `gradient_accumulation_steps` rows; their packs, however many, are the micro-batches."""

    def __init__(self, *, pack_tokens: int, **options: Any) -> None:
        args = options["args"]
        args.per_device_train_batch_size *= args.gradient_accumulation_steps
        args.gradient_accumulation_steps = 1
        self.on_cpu = args.device.type == "cpu"
        options["model"].set_attn_implementation(CPU_ATTENTION if self.on_cpu else "flex_attention")
        pad_token_id = options["processing_class"].pad_token_id
        super().__init__(data_collator=PackCollator(pad_token_id, pack_tokens, on_cpu=self.on_cpu), **options)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
        packs = self._parts(inputs)
        losses = []
        for number, pack in enumerate(packs, start=1):
            with nullcontext() if number == len(packs) else self.accelerator.no_sync(model):
                losses.append(super().training_step(model, pack, num_items_in_batch))
        return torch.stack(losses).sum()

    def _parts(self, inputs: Batch) -> list[Pack]:
        """Every pass gathers FSDP's weights, so all processes must make as many: what lacks is made without targets."""
        packs: list[Pack] = inputs["packs"]
        if self.accelerator.num_processes == 1:
            return packs
        count = torch.tensor([len(packs)], device=self.accelerator.device)
        missing = int(self.accelerator.gather(count).max()) - len(packs)
        shortest = min(packs, key=lambda pack: int(pack["input_ids"].numel()))
        nothing = {"predictors": shortest["predictors"][:0], "targets": shortest["targets"][:0], "num_row_tokens": 0}
        return [{**shortest, **nothing}] * missing + packs

    def _model_inputs(self, inputs: Batch) -> Batch:
        body = {key: inputs[key] for key in ("input_ids", "position_ids", "predictors", "targets")}
        if self.on_cpu:
            return {**body, "blocks": query_blocks(inputs["segments"], self.model.get_base_model().dtype)}
        input_ids = inputs["input_ids"]
        mask = trie_block_mask(inputs["segments"], input_ids.shape[1], input_ids.device)
        return {**body, "attention_mask": mask}

    def _count_tokens(self, inputs: Batch) -> None:
        self._add_to_totals(num_tokens=inputs["num_row_tokens"], num_computed_tokens=inputs["input_ids"].numel())
