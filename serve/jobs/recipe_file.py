"""A job as a recipe: the base's own recipe with the job's data and hyperparameters in place of its own."""

import math
from pathlib import Path
from typing import Any

import yaml

from data.whole_file import write_whole
from serve.api_settings import ApiSettings
from serve.jobs.base_folder import base_folder, base_recipe
from serve.jobs.preference_files import chosen_file, write_chosen
from serve.storage.tables import Job

BASE_RATES = {"supervised": 2e-4, "dpo": 5e-6}
"""Of a recipe that names no learning rate; the multiplier stands on it."""
NOT_OURS = ("max_steps", "save_steps", "warmup_ratio", "max_steps_per_epoch", "max_length")
KEPT_CHECKPOINTS = 3


def run_folder(settings: ApiSettings, job_id: str) -> Path:
    return settings.runs / job_id


def weights_folder(settings: ApiSettings, job: Job) -> Path:
    """The weights that the job's adapters belong to: the base's, which one server holds for all of its tuned models,
    unless the training went on from a tuned model."""
    return run_folder(settings, job.id) / "base" if job.start_from else base_folder(settings, job.base_model)


def wants_evaluation(settings: ApiSettings, job: Job) -> bool:
    """Only rows that are not trained on tell anything."""
    return job.validation_file is not None and gate_of(settings, job) != "off"


def gate_of(settings: ApiSettings, job: Job) -> str:
    return str(job.local.get("gate", settings.gate))


def write_recipe(settings: ApiSettings, job: Job, model: Path) -> Path:
    """Write the recipe of a job whose files lie in its run folder; returns its path. Raises UserError."""
    base = base_recipe(settings, job.base_model)
    inputs = run_folder(settings, job.id) / "inputs"
    is_dpo = job.method["type"] == "dpo"
    trained = inputs / "training.jsonl"
    held_out = inputs / "validation.jsonl" if job.validation_file else trained
    if is_dpo:
        for path in {trained, held_out}:
            write_chosen(path, settings.rules)
    train, test = (str(chosen_file(path) if is_dpo else path) for path in (trained, held_out))
    recipe = {
        "name": job.id, "runs": str(settings.runs), "model": {"path": str(model)}, "template": base.template,
        "pack_tokens": base.pack_tokens, "lora": _lora(base.lora, job.local),
        "sft": _lengths(base.sft, job) if is_dpo else _lengths(base.sft, job) | _training(base.sft, job),
        "merge": base.merge.model_dump(mode="json"), "serve": base.serve or {}, "gate": base.gate or {},
        "eval": {key: value for key, value in (base.eval or {}).items() if key not in ("suites", "environment")},
        "data": {
            "train": [train], "test": [test],
            # Without a validation file the held-out rows are the trained ones, and nothing is scored on them.
            "rules": _rules(settings, is_same=job.validation_file in (None, job.training_file)),
        },
    }  # fmt: skip
    if is_dpo:
        recipe["dpo"] = _training(base.dpo or {}, job)
        recipe["preferences"] = {"files": [str(trained)], "samples": 0}
    if base.quantization:
        recipe["quantization"] = base.quantization.model_dump(mode="json")
    if base.accelerate:
        recipe["accelerate"] = str(base.accelerate)
    path = inputs / "recipe.yaml"
    write_whole(path, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    return path


def _rules(settings: ApiSettings, *, is_same: bool) -> dict[str, Any]:
    rules = settings.rules.model_dump(mode="json", exclude_defaults=True)
    return rules | ({"leak": "off"} if is_same else {})


def _lora(base: dict[str, Any], local: dict[str, Any]) -> dict[str, Any]:
    return base | {key: local[key] for key in ("r", "lora_alpha", "target_modules") if key in local}


def _lengths(base: dict[str, Any], job: Job) -> dict[str, Any]:
    given = job.local.get("max_length", base.get("max_length"))
    return {} if given is None else {"max_length": given}


def _training(base: dict[str, Any], job: Job) -> dict[str, Any]:
    """The base's own section of the method with the job's numbers in it."""
    method = job.method["type"]
    numbers = job.method[method]["hyperparameters"]
    rate = float(base.get("learning_rate", BASE_RATES[method])) * numbers["learning_rate_multiplier"]
    per_device = _largest_divisor(numbers["batch_size"], int(base.get("per_device_train_batch_size", 4)))
    kept = {key: value for key, value in base.items() if key not in NOT_OURS}
    beta = {"beta": numbers["beta"]} if "beta" in numbers else {}
    return kept | beta | {
        "num_train_epochs": numbers["n_epochs"], "learning_rate": job.local.get("learning_rate", rate),
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": numbers["batch_size"] // per_device, "seed": job.seed,
        "warmup_steps": min(int(base.get("warmup_steps", 0)), math.ceil(numbers["n_epochs"])),
        "save_strategy": "epoch", "save_total_limit": KEPT_CHECKPOINTS,
    }  # fmt: skip


def _largest_divisor(number: int, at_most: int) -> int:
    return next(size for size in range(min(number, at_most), 0, -1) if number % size == 0)
