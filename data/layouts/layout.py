"""What the program knows of a layout."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from data.layouts.draft import Draft
from data.row import JsonObject


def _whole(record: JsonObject) -> Iterable[JsonObject]:
    return [record]


class Layout(NamedTuple):
    name: str
    about: str
    """How to recognise it, for --help."""
    fits: Callable[[JsonObject], bool]
    """Is a record (after `split`) in this layout? It may be called with any object."""
    draft: Callable[[JsonObject], Draft]
    """Raises RecordError for a record that cannot become a row."""
    keys: frozenset[str] = frozenset()
    """Keys of a record that `draft` reads; others are counted as left out."""
    split: Callable[[JsonObject], Iterable[JsonObject]] = _whole
    """The records of one source record: a file of spans holds many."""


def texts(record: JsonObject, list_key: str, text_key: str) -> list[str]:
    """The texts of a list of messages, whatever else it holds."""
    messages = record.get(list_key)
    if not isinstance(messages, list):
        return []
    return [m[text_key] for m in messages if isinstance(m, dict) and isinstance(m.get(text_key), str)]


def roles(record: JsonObject, list_key: str, role_key: str) -> set[str]:
    messages = record.get(list_key)
    return {str(m.get(role_key)) for m in messages if isinstance(m, dict)} if isinstance(messages, list) else set()
