"""The adapter folder: PEFT's own files, and beside them what the training was."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from data.user_error import UserError
from data.whole_file import put_folder
from train.examples import Examples
from train.manifest import schema_hashes, teach_nulls
from train.preferences import PairExamples
from train.settings import TrainRecipe

FILE_NAME = "training.json"


class Training(NamedTuple):
    key: str
    recipe: dict[str, Any]
    data_sha256: str
    tool_schemas: dict[str, str]
    num_tokens: int
    num_trained: int
    log: list[dict[str, Any]]
    writes_nulls: bool = False


def save_adapter(
    trainer: Any, recipe: TrainRecipe, key: str, examples: Examples | PairExamples, data_sha256: str
) -> None:
    """Write runs/NAME/adapter whole or not at all; every process has to call it, as with FSDP each holds a part."""
    folder = recipe.folder / "adapter"
    partial = folder.with_name("adapter.partial")
    if trainer.accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    if trainer.is_fsdp_enabled:  # checkpoints may be in parts, the adapter may not
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(partial))
    if not trainer.accelerator.is_main_process:
        return
    training = Training(
        key=key,
        recipe=recipe.model_dump(mode="json"),
        data_sha256=data_sha256,
        tool_schemas=schema_hashes(examples.tools),
        num_tokens=examples.num_tokens,
        num_trained=examples.num_trained,
        log=trainer.state.log_history,
        writes_nulls=teach_nulls(examples.tools),
    )
    (partial / FILE_NAME).write_text(json.dumps(training._asdict(), indent=2) + "\n")
    put_folder(partial, folder)


def read_training(folder: Path) -> Training:
    """Raises UserError when the folder is no adapter of train.sft."""
    try:
        return Training(**json.loads((folder / FILE_NAME).read_text()))
    except FileNotFoundError as error:
        raise UserError("no adapter made by train.sft", where=str(folder), fix="run train.sft first") from error
    except (TypeError, json.JSONDecodeError) as error:
        raise UserError(
            f"not written by train.sft: {error}", where=str(folder / FILE_NAME), fix="train again"
        ) from error


def adapter_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
