"""A folder with a tokenizer, and the template that goes with it: what `data.check` and `data.show` are given."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from data.template import Template, load_template
from data.user_error import UserError

MANIFEST = "calltune.json"


class TokenizerFolder(NamedTuple):
    tokenizer: Any
    template: Template
    max_length: int | None
    """`max_model_len` of the folder's manifest, where it has one."""


def open_tokenizer_folder(path: Path, template_name: str | None) -> TokenizerFolder:
    """The tokenizer in `path` with the named template, or with the one its manifest names.

    Raises UserError when the folder holds no tokenizer, or when nothing says which template to use.
    """
    manifest = _manifest(path)
    name = template_name or manifest.get("template")
    if not name:
        raise UserError(
            f"no template: {path} has no {MANIFEST} to name one", where="--template", fix="give llama3 or chatml"
        )
    template = load_template(str(name))
    return TokenizerFolder(_tokenizer(path), template, manifest.get("max_model_len"))


def _manifest(path: Path) -> dict[str, Any]:
    """Read here without its class, which belongs to a room to the right; {} when there is none."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path / MANIFEST), fix="make the folder again") from error
    return manifest if isinstance(manifest, dict) else {}


def _tokenizer(path: Path) -> Any:
    if not (path / "tokenizer.json").is_file() and not (path / "tokenizer_config.json").is_file():
        raise UserError(
            "holds no tokenizer", where=str(path), fix="give a model folder, for example runs/NAME/base or a download"
        )
    # Takes seconds, and a check without a tokenizer needs none of it.
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"its tokenizer cannot be loaded: {reason}", where=str(path), fix="save it again") from error
