"""Signatures of events as OpenAI makes them (standardwebhooks.com, version 1)."""

import base64
import hashlib
import hmac
import os

from data.user_error import UserError


def signature(secret: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt."""
    signed = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": event_id, "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }  # fmt: skip


def read_secret(variable: str) -> bytes:
    """`whsec_` and base64, as OpenAI gives it out; anything else is taken byte for byte, as its SDK does.

    Raises UserError where it is missing or is no base64.
    """
    text = os.environ.get(variable, "")
    if not text:
        raise UserError(f"the environment has no {variable}", where="webhook.secret_variable", fix="set the secret")
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        fix = "write whsec_ and base64"
        raise UserError(f"{variable} is no base64 after whsec_", where="webhook.secret_variable", fix=fix) from error
