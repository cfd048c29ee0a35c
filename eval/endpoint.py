"""An OpenAI-compatible endpoint: is it there, does it serve the model, and what does it say about itself?"""

from pathlib import Path
from typing import Any

import httpx

from data.user_error import UserError
from eval.settings import Record
from train.manifest import read_manifest

CHECK_TIMEOUT_S = 10.0


class Endpoint(Record):
    base_url: str
    model: str
    server_version: str | None = None
    """What GET /version says, as vLLM does."""
    model_facts: dict[str, Any] = {}
    """The model's entry in /models, and its manifest's template and hashes when the weights lie on this machine."""


def check_endpoint(base_url: str, api_key: str, model: str, timeout_s: float = CHECK_TIMEOUT_S) -> Endpoint:
    """Raise UserError, in one line, for an endpoint that is down, slow, locked, not OpenAI's or without the model."""
    with httpx.Client(timeout=timeout_s, headers={"Authorization": f"Bearer {api_key}"}) as http:
        entries = _model_entries(http, base_url, timeout_s)
        if model not in entries:
            served = ", ".join(entries) or "none"
            raise UserError(f"unknown model {model!r}", where=base_url, fix=f"--model must be one it serves: {served}")
        facts = {key: entries[model][key] for key in ("root", "max_model_len") if entries[model].get(key)}
        facts |= _manifest_facts(str(facts.get("root", "")))
        return Endpoint(base_url=base_url, model=model, server_version=_version(http, base_url), model_facts=facts)


def _model_entries(http: httpx.Client, base_url: str, timeout_s: float) -> dict[str, dict[str, Any]]:
    try:
        answer = http.get(f"{base_url.rstrip('/')}/models")
    except httpx.TimeoutException as error:
        fix = "wait until it has started, or look at its log"
        raise UserError(f"the endpoint gave no answer within {timeout_s:g} s", where=base_url, fix=fix) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "start the server, or correct --base-url (it ends in /v1)"
        raise UserError(f"the endpoint cannot be reached: {error}", where=base_url, fix=fix) from error
    if answer.status_code in (401, 403):
        raise UserError("the endpoint refuses the key", where=base_url, fix="set OPENAI_API_KEY or give --api-key")
    if answer.status_code != 200:
        fix = "correct --base-url (it ends in /v1)" if answer.status_code == 404 else "look at the server's log"
        raise UserError(f"GET /models gave HTTP {answer.status_code}", where=base_url, fix=fix)
    try:
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError) as error:
        fix = "give the base URL of an OpenAI-compatible server (it ends in /v1)"
        raise UserError("GET /models did not answer with a list of models", where=base_url, fix=fix) from error


def _version(http: httpx.Client, base_url: str) -> str | None:
    try:
        return str(http.get(f"{base_url.rstrip('/').removesuffix('/v1')}/version").json()["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None  # most servers other than vLLM have no such path


def _manifest_facts(root: str) -> dict[str, Any]:
    try:
        manifest = read_manifest(Path(root)).model_dump()
    except UserError:
        return {}  # the server runs elsewhere, or serves a model that is not ours
    keys = ("kind", "base", "base_sha256", "template", "template_sha256", "adapter_sha256", "data_sha256")
    return {key: manifest[key] for key in keys if manifest[key]}
