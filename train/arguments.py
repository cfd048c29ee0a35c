"""A recipe's `lora`, `sft` and `quantization` sections as the classes that own them, with our defaults under them."""

import dataclasses
from typing import Any

import torch
from peft import LoraConfig
from transformers import BitsAndBytesConfig
from trl import DPOConfig, SFTConfig

from data.settings import unknown_key_fix
from data.user_error import UserError
from train.cpu_dtype import cpu_dtype
from train.settings import QuantizationSection, TrainRecipe

LORA_DEFAULTS = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
SFT_DEFAULTS = {
    "learning_rate": 2e-4,  # TRL's 2e-5 is for full fine-tuning; LoRA wants about ten times that
    "lr_scheduler_type": "cosine",
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "steps",
    "save_total_limit": 2,
    "report_to": "none",
    "average_tokens_across_devices": True,
    "seed": 7,
}
DPO_DEFAULTS = {
    **SFT_DEFAULTS,
    "learning_rate": 5e-6,  # TRL's 1e-6 is for full fine-tuning; 5e-6 is what the Zephyr QLoRA recipe takes
    "beta": 0.1,  # Rafailov et al. 2023, section 6
    # A good and a bad call differ in few tokens, and DPO alone then lowers the probability of both (Pal et al. 2024,
    # "Smaug"). The likelihood of the good one is therefore a part of the loss, weight 1 (Pang et al. 2024, "Iterative
    # Reasoning Preference Optimization").
    "loss_type": ["sigmoid", "sft"],
    "loss_weights": [1.0, 1.0],
    "disable_dropout": True,
}
# Rows arrive as ids and labels: these would cut, repack or relabel them behind our back.
REFUSED = {
    "assistant_only_loss": "labels come from data.render, on assistant turns alone",
    "completion_only_loss": "labels come from data.render, on assistant turns alone",
    "chat_template_path": "set `template`",
    "dataset_kwargs": "rows come rendered from data.render",
    "packing": "set `pack_tokens`",
    "padding_free": "set `pack_tokens`: packs hold no padding",
    "output_dir": "the run folder is runs/NAME",
    "eos_token": "the end token is the template's",
    "max_steps_per_epoch": "use num_train_epochs or max_steps",
}

REFUSED_DPO = {
    "max_length": "the longest row of a run is sft.max_length",
    "truncation_mode": "pairs that are too long are dropped whole and counted",
    "output_dir": "the run folder is runs/NAME",
    "sync_ref_model": "the reference is the model without its adapter, which stays what it is",
    "padding_free": "TRL 1.16 has it switched off",
    "pad_token": "the base folder's tokenizer has one",
}


def require_known_keys(recipe: TrainRecipe) -> None:
    """Refuse a wrong key now, not after an hour: UserError."""
    lora_config(recipe), sft_config(recipe), quantization_config(recipe)
    if recipe.dpo is not None:
        dpo_config(recipe)


def lora_config(recipe: TrainRecipe, token_indices: dict[str, list[int]] | None = None) -> LoraConfig:
    _require_known("lora", recipe.lora, LoraConfig)
    config = {**LORA_DEFAULTS, **recipe.lora}
    if token_indices:
        config["trainable_token_indices"] = token_indices
    return _build("lora", LoraConfig, config)


def sft_config(recipe: TrainRecipe) -> SFTConfig:
    """TRL's arguments. `truncation` cannot happen: rows over max_length were dropped whole and counted before."""
    _require_known("sft", recipe.sft, SFTConfig)
    _require_ours("sft", recipe.sft, REFUSED)
    has_validation = recipe.data.split is not None and recipe.data.split.validation > 0
    evaluated = {"eval_strategy": "epoch" if has_validation else "no"}
    config = {**SFT_DEFAULTS, **device_defaults(), **evaluated, **recipe.sft}
    if config["eval_strategy"] != "no" and not has_validation:
        what = "sft.eval_strategy is set, but there are no validation rows"
        raise UserError(what, where="sft", fix="set data.split.validation, or take eval_strategy out")
    config |= {"output_dir": str(recipe.folder / "checkpoints"), "max_length": recipe.max_length}
    config["shuffle_dataset"] = config.get("shuffle_dataset", True)
    return _build("sft", SFTConfig, config)


def dpo_config(recipe: TrainRecipe) -> DPOConfig:
    """TRL's arguments of the preference stage. Raises UserError for a recipe without a `dpo` section."""
    if recipe.dpo is None:
        raise UserError("the recipe has no `dpo` section", where="recipe", fix="add it, or run train.sft")
    _require_known("dpo", recipe.dpo, DPOConfig)
    _require_ours("dpo", recipe.dpo, REFUSED_DPO)
    config = {**DPO_DEFAULTS, **device_defaults(), **recipe.dpo}
    if "loss_type" in recipe.dpo and "loss_weights" not in recipe.dpo:
        del config["loss_weights"]  # those are of our losses
    config |= {"output_dir": str(recipe.folder / "checkpoints"), "max_length": recipe.max_length}
    return _build("dpo", DPOConfig, config)


def device_defaults() -> dict[str, bool]:
    has_gpu = torch.cuda.is_available()
    return {"use_cpu": not has_gpu, "bf16": has_gpu or cpu_dtype() == "bfloat16"}


def model_dtype(*, bf16: bool) -> torch.dtype:
    """Of the base's weights in memory: bf16 under its autocast, else fp32."""
    return torch.bfloat16 if bf16 else torch.float32


def quantization_config(recipe: TrainRecipe, compute_dtype: torch.dtype = torch.bfloat16) -> BitsAndBytesConfig | None:
    return four_bit(recipe.quantization, compute_dtype) if recipe.quantization else None


def four_bit(section: QuantizationSection, compute_dtype: torch.dtype) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(bnb_4bit_compute_dtype=compute_dtype, **section.model_dump())


def _require_ours(section: str, values: dict[str, Any], refused: dict[str, str]) -> None:
    for key, reason in refused.items():
        if values.get(key):
            raise UserError(f"{section}.{key} cannot be set: {reason}", where=section, fix=f"remove {key}")


def _require_known(section: str, values: dict[str, Any], cls: Any) -> None:
    known = [field.name for field in dataclasses.fields(cls)]
    for key in values:
        if key not in known:
            raise UserError(f"unknown key '{section}.{key}'", where="recipe", fix=unknown_key_fix(key, known))


def _build(section: str, cls: Any, config: dict[str, Any]) -> Any:
    try:
        return cls(**config)
    except (TypeError, ValueError) as error:  # what the libraries raise for a value they do not take
        raise UserError(f"section {section!r}: {' '.join(str(error).split())}", where="recipe") from error
