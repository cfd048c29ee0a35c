"""Which replica answers a request: the one that has computed the same beginning before, unless it has too much to do.

Rendezvous hashing with bounded loads: every replica has its own random order of prefixes, so that one that goes or
comes moves only its own share, and no replica takes more than LOAD_FACTOR times its part of the open requests.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

LOAD_FACTOR = 1.25


class Loaded(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def num_open(self) -> int: ...


R = TypeVar("R", bound=Loaded)


def prefix_of(model: str, body: dict[str, Any]) -> bytes:
    """What all turns of one conversation begin with: model, tools, and all up to the first message of the user."""
    head = []
    given = body.get("messages", body.get("input"))
    for message in given if isinstance(given, list) else [given]:
        head.append(message)
        if isinstance(message, dict) and message.get("role") == "user":
            break
    text = json.dumps([model, body.get("instructions"), body.get("tools"), body.get("functions"), head], sort_keys=True)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()


def by_preference(replicas: Sequence[R], prefix: bytes) -> list[R]:
    return sorted(replicas, key=lambda replica: hashlib.blake2b(replica.name.encode(), key=prefix).digest())


def choose(replicas: Sequence[R], prefix: bytes) -> R:
    """The first by preference that has room; there must be one."""
    limit = math.ceil(LOAD_FACTOR * (sum(replica.num_open for replica in replicas) + 1) / len(replicas))
    return next(each for each in by_preference(replicas, prefix) if each.num_open < limit)
