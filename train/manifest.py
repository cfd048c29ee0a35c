"""`calltune.json`, the manifest beside a model's weights: what it was made from and how it must be served."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data.optional_arguments import relaxed
from data.template import Template
from data.user_error import UserError

FILE_NAME = "calltune.json"


class Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    kind: Literal["base", "merged"]
    name: str
    """The name the model is served under."""
    base: str
    """Where the base weights came from: a path or a hub id."""
    base_sha256: str
    """Hash of the base weights' file list (names and sizes) and config: it changes when the base does."""
    template: str
    template_sha256: str
    tool_call_parser: str
    max_model_len: int
    adapter_sha256: str | None = None
    data_sha256: str | None = None
    tool_schemas: dict[str, str] = {}
    """Tool name -> hash of the canonical schema seen in training."""
    writes_nulls: bool = False
    """Was it trained on functions that require arguments which may be null, as strict ones do?"""
    merge: dict[str, Any] | None = None
    """The merge's own check: dtype, largest logit difference, tolerance, rows compared."""
    recipe: dict[str, Any] | None = None
    versions: dict[str, str] = {}

    def write(self, folder: Path) -> None:
        (folder / FILE_NAME).write_text(self.model_dump_json(indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model folder.

    Raises UserError when the folder is no model, has no manifest, or has one that was not written by this program.
    """
    if not folder.is_dir():
        raise UserError(
            "no such model folder", where=str(folder), fix="give a folder made by train.base or train.merge"
        )
    if not (folder / "config.json").is_file():
        raise UserError("not a model folder: it has no config.json", where=str(folder), fix="give runs/NAME/merged")
    path = folder / FILE_NAME
    try:
        return Manifest.model_validate_json(path.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"no manifest ({FILE_NAME}), so the template and the parser it was trained for are unknown",
            where=str(folder), fix="serve a folder made by train.base or train.merge",
        ) from error  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"foreign manifest: {key}: {first['msg']}", where=str(path), fix="make it again with train.merge"
        ) from error


def require_template(folder: Path, manifest: Manifest) -> None:
    """The template beside the weights must be the one the model was trained with, byte for byte."""
    path = folder / "chat_template.jinja"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
    if found != manifest.template_sha256:
        raise UserError(
            f"the chat template (sha256 {found[:12]}) is not the one of the manifest ({manifest.template_sha256[:12]})",
            where=str(path),
            fix="make the folder again with train.merge",
        )


def schema_hashes(tools: list[dict[str, Any]]) -> dict[str, str]:
    """Tool name -> short hash of its schema, key order apart."""
    return {
        tool["function"]["name"]: hashlib.sha256(json.dumps(tool["function"], sort_keys=True).encode()).hexdigest()[:16]
        for tool in tools
    }


def teach_nulls(tools: list[dict[str, Any]]) -> bool:
    """Does one of them require an argument that may be null, so that its calls write null?"""
    return any(relaxed(schema) != schema for schema in (tool["function"].get("parameters") for tool in tools))


def template_fields(template: Template) -> dict[str, str]:
    return {
        "template": template.name,
        "template_sha256": template.sha256,
        "tool_call_parser": template.tool_call_parser,
    }
