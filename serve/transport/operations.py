"""What operators look at: /health, /metrics, and the status page at /."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import generate_latest
from sqlalchemy import func, select

from serve.storage.tables import Job
from serve.transport.context import Here
from serve.transport.shapes import Health, answers

router = APIRouter(tags=["operations"])
STATUSES = ("validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled")
PAGE = (Path(__file__).parent / "status.html").read_text()


def _allowed(kind: str) -> str:
    """The page's own script or style, by hash: no other one runs, whatever a name or a message holds."""
    found = re.search(f"<{kind}>(.*?)</{kind}>", PAGE, re.DOTALL)
    assert found
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; connect-src 'self'; script-src {_allowed('script')}; style-src {_allowed('style')}; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def status_page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"content-security-policy": POLICY, "x-content-type-options": "nosniff"})


@router.get("/health", **answers(Health))
def health(here: Here, request: Request) -> JSONResponse:
    """200 while the database answers. Of each vLLM its state, and why it is down: the others answer meanwhile."""
    with here.database.read() as session:
        session.execute(select(1))
    return JSONResponse({"status": "ok", "engines": request.app.state.chat.engines.told()})


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(here: Here, request: Request) -> PlainTextResponse:
    with here.database.read() as session:
        counts = dict(session.execute(select(Job.status, func.count()).group_by(Job.status)).tuples().all())
    for status in STATUSES:
        here.measures.jobs.labels(status).set(counts.get(status, 0))
    here.measures.engines.clear()
    for told in request.app.state.chat.engines.told():
        here.measures.engines.labels(told["model"], told["replica"]).set(told["state"] == "up")
    return PlainTextResponse(generate_latest(here.measures.registry).decode())
