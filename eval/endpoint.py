"""An OpenAI-compatible endpoint: is it there, does it serve the model, and what does it say about itself?"""

from pathlib import Path
from typing import Any

import httpx

from data.served_models import CHECK_TIMEOUT_S, served_model
from data.user_error import UserError
from eval.settings import Record
from train.manifest import read_manifest


class Endpoint(Record):
    base_url: str
    model: str
    server_version: str | None = None
    """What GET /version says, as vLLM does."""
    model_facts: dict[str, Any] = {}
    """The model's entry in /models, and its manifest's template and hashes when the weights lie on this machine."""


def check_endpoint(base_url: str, api_key: str, model: str, timeout_s: float = CHECK_TIMEOUT_S) -> Endpoint:
    """Raise UserError, in one line, for an endpoint that is down, slow, locked, not OpenAI's or without the model."""
    entry = served_model(base_url, api_key, model, timeout_s)
    facts = {key: entry[key] for key in ("root", "max_model_len") if entry.get(key)}
    facts |= _manifest_facts(str(facts.get("root", "")))
    version = _version(base_url, api_key, timeout_s)
    return Endpoint(base_url=base_url, model=model, server_version=version, model_facts=facts)


def _version(base_url: str, api_key: str, timeout_s: float) -> str | None:
    url, headers = f"{base_url.rstrip('/').removesuffix('/v1')}/version", {"Authorization": f"Bearer {api_key}"}
    try:
        return str(httpx.get(url, headers=headers, timeout=timeout_s).json()["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None  # most servers other than vLLM have no such path


def _manifest_facts(root: str) -> dict[str, Any]:
    try:
        manifest = read_manifest(Path(root)).model_dump()
    except UserError:
        return {}  # the server runs elsewhere, or serves a model that is not ours
    keys = ("kind", "base", "base_sha256", "template", "template_sha256", "adapter_sha256", "data_sha256")
    return {key: manifest[key] for key in keys if manifest[key]}
