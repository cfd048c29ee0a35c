"""What an OpenAI-compatible endpoint says that it serves, or in one line why it cannot be asked."""

from typing import Any

import httpx

from data.user_error import UserError

CHECK_TIMEOUT_S = 10.0


def served_model(base_url: str, api_key: str, model: str, timeout_s: float = CHECK_TIMEOUT_S) -> dict[str, Any]:
    """The model's entry in GET /models. Raises UserError for an endpoint that is down, slow, locked or without it."""
    with httpx.Client(timeout=timeout_s, headers={"Authorization": f"Bearer {api_key}"}) as http:
        entries = _entries(http, base_url, timeout_s)
    if model not in entries:
        served = ", ".join(entries) or "none"
        raise UserError(f"unknown model {model!r}", where=base_url, fix=f"--model must be one it serves: {served}")
    return entries[model]


def _entries(http: httpx.Client, base_url: str, timeout_s: float) -> dict[str, dict[str, Any]]:
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
