"""Evals, runs and output items as clients see them."""

from collections import Counter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serve.storage.tables import Eval, EvalItem, EvalRun

USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


def eval_object(made: Eval) -> dict[str, Any]:
    return {
        "id": made.id, "object": "eval", "created_at": made.created_at, "name": made.name,
        "data_source_config": made.data_source_config, "testing_criteria": made.testing_criteria,
        "metadata": made.metadata_,
    }  # fmt: skip


def run_object(session: Session, run: EvalRun) -> dict[str, Any]:
    items = session.scalars(select(EvalItem).where(EvalItem.run_id == run.id)).all()
    statuses = Counter(item.status for item in items)
    is_begun = run.status != "queued"
    return {
        "id": run.id, "object": "eval.run", "eval_id": run.eval_id, "created_at": run.created_at, "name": run.name,
        "status": run.status, "model": run.model, "data_source": run.data_source, "metadata": run.metadata_,
        "error": run.error, "report_url": f"/v1/evals/{run.eval_id}/runs/{run.id}/output_items",
        "result_counts": {
            "total": len(items), "passed": statuses["pass"], "failed": statuses["fail"], "errored": statuses["error"],
        },
        "per_testing_criteria_results": _by_criterion(items) if is_begun else None,
        "per_model_usage": _usage(run, items) if is_begun else None,
    }  # fmt: skip


def item_object(run: EvalRun, item: EvalItem) -> dict[str, Any]:
    return {
        "id": item.id, "object": "eval.run.output_item", "created_at": item.created_at, "run_id": run.id,
        "eval_id": run.eval_id, "datasource_item_id": item.datasource_item_id,
        "datasource_item": item.datasource_item, "status": "pass" if item.status == "pass" else "fail",
        "results": item.results, "sample": item.sample,
    }  # fmt: skip


def _by_criterion(items: Any) -> list[dict[str, Any]]:
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for item in items:
        for result in item.results:
            (passed if result["passed"] else failed)[result["name"]] += 1
    names = sorted({*passed, *failed})
    return [{"testing_criteria": name, "passed": passed[name], "failed": failed[name]} for name in names]


def _usage(run: EvalRun, items: Any) -> list[dict[str, Any]]:
    if run.model is None:
        return []
    used = [item.sample.get("usage") or {} for item in items]
    sums = {key: sum(usage.get(key) or 0 for usage in used) for key in USAGE}
    return [{"model_name": run.model, "invocation_count": len(items), "cached_tokens": 0, **sums}]
