"""Stored completions as the rows of an eval run: what was asked as `item`, what was answered as `sample`."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from serve.evals.request import StoredSource
from serve.evals.sampling import EvalRow
from serve.storage.tables import StoredCompletion
from serve.transport.metadata import with_metadata

SAMPLED_WITH = ("seed", "temperature", "top_p", "max_completion_tokens")


def stored_rows(session: Session, project: str, source: StoredSource, metadata: dict[str, str]) -> list[EvalRow]:
    """Those that fit the run's filters and the eval's `metadata`, oldest first; numbered as they were stored."""
    rows = select(StoredCompletion).where(StoredCompletion.project == project).order_by(StoredCompletion.seq)
    rows = rows.where(StoredCompletion.model == source.model) if source.model is not None else rows
    if source.created_after is not None:
        rows = rows.where(StoredCompletion.created_at > source.created_after)
    if source.created_before is not None:
        rows = rows.where(StoredCompletion.created_at < source.created_before)
    wanted = [*metadata.items(), *(source.metadata or {}).items()]
    rows = with_metadata(rows, StoredCompletion, QueryParams([(f"metadata[{key}]", value) for key, value in wanted]))
    return [_row(stored) for stored in session.scalars(rows.limit(source.limit).execution_options(yield_per=500))]


def _row(stored: StoredCompletion) -> EvalRow:
    request, answer = json.loads(stored.request), json.loads(stored.response)
    choice = (answer.get("choices") or [{}])[0]
    item = {"input": request["messages"], "tools": request.get("tools") or [], "metadata": stored.metadata_}
    asked = {key: request.get(key) for key in SAMPLED_WITH}
    sample = asked | {
        "model": answer.get("model") or stored.model, "input": request["messages"],
        "output": [choice.get("message") or {}], "finish_reason": choice.get("finish_reason"),
        "usage": answer.get("usage"), "error": None,
    }  # fmt: skip
    return EvalRow(stored.seq, item, sample)
