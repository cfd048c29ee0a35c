"""Server-sent events, in pieces of any size, some of them changed (WHATWG HTML, section 9.2)."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

from data.row import JsonObject
from serve.strict_calls.schemas import Schemas

_DATA = re.compile(rb"^data: (\{.*)$", re.MULTILINE)


class EventStream(ABC):
    """Of the events of one answer; arguments of calls of `schemas` wait for the call's end."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self._rest = b""

    def add(self, piece: bytes) -> bytes:
        """What of it, and of pieces before it, goes to the client now."""
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        return b"".join(given + b"\n\n" for event in events for given in self._passed(event))

    def _passed(self, event: bytes) -> Iterator[bytes]:
        data = _DATA.search(event)
        passed = self.passed(json.loads(data[1])) if data else None
        yield from [event] if passed is None else map(self.written, passed)

    @abstractmethod
    def passed(self, data: JsonObject) -> list[JsonObject] | None:
        """What is sent for this event's data; None: itself, unchanged."""

    def written(self, data: JsonObject) -> bytes:
        return b"data: " + json.dumps(data).encode()
