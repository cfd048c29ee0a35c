"""TRL preparing rows for training in its own way: what ours is measured and checked against."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import trl
from datasets import Dataset, Features, Json, List
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from data.render import IGNORE, Tokenizer
from data.row import JsonObject

COLUMNS = Features({"messages": List(Json()), "tools": List(Json())})


class TrlRow(NamedTuple):
    text: str
    """All that the model reads."""
    trained: str
    """All that it learns to write."""


class TrlOutcome(NamedTuple):
    rows: list[TrlRow]
    """Those that are left."""
    error: str
    """What TRL raised instead, or ""."""
    warnings: list[str]


def trl_dataset(conversations: list[JsonObject]) -> Dataset:
    """Rows of `messages` and `tools` as TRL's guide wants them: in columns of JSON, so that no null is filled in."""
    columns = {key: [talk.get(key) for talk in conversations] for key in COLUMNS}
    return Dataset.from_dict(columns, features=COLUMNS)


def tiny_network(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """A Llama too small to matter, with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def trl_trainer(
    dataset: Dataset, tokenizer: Tokenizer, model: Any = None, peft_config: Any = None, **options: Any
) -> SFTTrainer:
    """A trainer that has prepared `dataset` (its `train_dataset`); `options` are those of `trl.SFTConfig`.

    The chat template is the tokenizer's, the model a tiny one where none is given.
    """
    with TemporaryDirectory() as folder:
        arguments = SFTConfig(output_dir=folder, use_cpu=True, bf16=False, report_to="none", **options)
        return SFTTrainer(
            model=model or tiny_network(tokenizer), args=arguments, train_dataset=dataset,
            processing_class=tokenizer, peft_config=peft_config,
        )  # fmt: skip


def prepared_by_trl(dataset: Dataset, tokenizer: Tokenizer, chat_template: str, **options: Any) -> TrlOutcome:
    """What TRL would train on, what it raised, and what it warned of."""
    tokenizer.chat_template = chat_template
    with _warnings() as warnings:
        try:
            prepared = trl_trainer(dataset, tokenizer, **options).train_dataset
        except (RuntimeError, ValueError) as error:
            return TrlOutcome([], " ".join(str(error).split()), warnings)
    rows = []
    for ids, labels in zip(prepared["input_ids"], prepared["labels"], strict=True):
        trained = [label for label in labels if label != IGNORE]
        rows.append(TrlRow(tokenizer.decode(ids), tokenizer.decode(trained)))
    return TrlOutcome(rows, "", warnings)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What TRL logs at warning level or above, which would else stand on the console."""
    told: list[str] = []
    logger = logging.getLogger(trl.__name__)
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
