"""Metadata of objects: at most 16 pairs of text, by which lists are filtered (`metadata[team]=voice`)."""

import re
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from serve.storage.tables import Job, MetadataPair, StoredCompletion
from serve.transport.errors import invalid_value

Owner = TypeVar("Owner", Job, StoredCompletion)
MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
_IN_QUERY = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def checked_metadata(value: Any) -> dict[str, str] | None:
    """Raises ApiError for anything but a map of short texts, or null."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_value("metadata", "metadata must be an object of strings")
    if len(value) > MAX_PAIRS:
        raise invalid_value("metadata", f"metadata has {len(value)} pairs, at most {MAX_PAIRS} are allowed")
    for key, text in value.items():
        if not isinstance(text, str):
            raise invalid_value(f"metadata.{key}", "metadata values must be strings")
        if not 1 <= len(key) <= MAX_KEY or len(text) > MAX_VALUE:
            raise invalid_value(f"metadata.{key}", f"keys have 1 to {MAX_KEY} characters, values at most {MAX_VALUE}")
        if "\0" in key + text:
            raise invalid_value(f"metadata.{key[:1]}", "metadata holds a NUL character")
    return value


def set_pairs(session: Session, owner: str, metadata: dict[str, str] | None) -> None:
    for pair in session.scalars(select(MetadataPair).where(MetadataPair.owner == owner)):
        session.delete(pair)
    session.flush()
    session.add_all(MetadataPair(owner=owner, key=key, value=value) for key, value in (metadata or {}).items())


def with_metadata(rows: Select[Owner], table: type[Owner], query: QueryParams) -> Select[Owner]:
    """The rows whose metadata has every pair that the query names; `metadata=null` asks for those without any."""
    for name, value in query.multi_items():
        if name == "metadata" and value == "null":
            rows = rows.where(~select(MetadataPair).where(MetadataPair.owner == table.id).exists())
        if match := _IN_QUERY.fullmatch(name):
            pair = select(MetadataPair).where(
                MetadataPair.owner == table.id, MetadataPair.key == match[1], MetadataPair.value == value
            )
            rows = rows.where(pair.exists())
    return rows
