"""Lists as OpenAI pages them: `after` names the last item that the client has, `has_more` says whether to ask again."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from serve.storage.tables import Listed
from serve.transport.errors import ApiError, invalid_value

Item = TypeVar("Item", bound=Listed)
Order = Literal["asc", "desc"]
MAX_LIMIT = 1000


class Paging(NamedTuple):
    after: str | None
    limit: int
    order: Order


class Page(NamedTuple):
    items: Sequence[Any]
    has_more: bool


def paging(after: str | None, limit: int, order: str, max_limit: int = MAX_LIMIT) -> Paging:
    """Raises ApiError for what cannot be meant; a limit that is too large is cut."""
    if limit < 1:
        raise invalid_value("limit", f"limit must be at least 1, not {limit}")
    if order not in ("asc", "desc"):
        raise invalid_value("order", f"order must be asc or desc, not {order!r}")
    return Paging(after, min(limit, max_limit), "asc" if order == "asc" else "desc")


def page(session: Session, rows: Select[Item], table: type[Item], want: Paging) -> Page:
    """One page of the rows. Raises ApiError when `after` is none of them."""
    if want.after is not None:
        last = session.scalar(rows.where(table.id == want.after))
        if last is None:
            raise ApiError(400, f"No such object: {want.after}", param="after", code="invalid_value")
        rows = rows.where(table.seq > last.seq if want.order == "asc" else table.seq < last.seq)
    rows = rows.order_by(table.seq.asc() if want.order == "asc" else table.seq.desc())
    found = session.scalars(rows.limit(want.limit + 1)).all()
    return Page(found[: want.limit], len(found) > want.limit)


def list_object(items: list[dict[str, Any]], *, has_more: bool, with_ids: bool = True) -> dict[str, Any]:
    body = {"object": "list", "data": items, "has_more": has_more}
    ids = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return body | (ids if with_ids else {})
