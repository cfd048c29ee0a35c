"""Who is asking: API keys, kept as hashes, and the project whose objects they see."""

import hashlib
import secrets
import threading
import time
from typing import NamedTuple

from sqlalchemy import select

from serve.storage.database import Database
from serve.storage.tables import ApiKey
from serve.transport.errors import ApiError

FRESH_S = 2.0
KEY_BYTES = 32


class Caller(NamedTuple):
    name: str
    project: str
    requests_per_minute: int | None = None


ANYONE = Caller("anyone", "default")


class KeyRing:
    """The keys of the database, read again every two seconds: a revoked key soon opens nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callers: dict[str, Caller] = {}
        self._read_at = -FRESH_S
        self._lock = threading.Lock()

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self._read_at < FRESH_S

    def read(self) -> None:
        """Blocks on the database; what it raises leaves the keys as they were."""
        with self._lock, self._database.read() as session:
            keys = session.scalars(select(ApiKey)).all()
            self._callers = {key.sha256: Caller(key.name, key.project, key.requests_per_minute) for key in keys}
            self._read_at = time.monotonic()

    def caller(self, authorizations: list[str]) -> Caller:
        """Raises ApiError for a wrong key, a missing one and several at once; without any key everyone may come in."""
        if not self._callers:
            return ANYONE
        scheme, _, key = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
        found = self._callers.get(key_sha256(key.strip())) if scheme.lower() == "bearer" else None
        if found is None:
            raise ApiError(401, "Incorrect API key provided", code="invalid_api_key")
        return found


def new_key(database: Database, name: str, project: str, requests_per_minute: int | None) -> str:
    """Make a key and keep its hash; the key itself is only returned."""
    key = f"sk-{secrets.token_urlsafe(KEY_BYTES)}"
    with database.write() as session:
        session.add(
            ApiKey(
                name=name, sha256=key_sha256(key), project=project, requests_per_minute=requests_per_minute,
                created_at=int(time.time()),
            )
        )  # fmt: skip
    return key


def key_sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
