"""Eval runs, one at a time in each API process; what a killed one left goes on where it was, item by item."""

import asyncio
import logging
import time
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from data.graders.grader import Grade, grade, read_grader
from data.user_error import UserError
from serve.chat.asking import Chat
from serve.evals.request import CompletionsSource, ContentSource, FileSource, StoredSource, checked_source
from serve.evals.sampling import EvalRow, answered, graded_sample, rows_of
from serve.evals.stored import stored_rows
from serve.storage.ids import new_id
from serve.storage.tables import Eval, EvalItem, EvalRun
from serve.transport.context import Context
from serve.webhooks.outbox import announce

logger = logging.getLogger("calltune.api")
IDLE_S = 0.5
AT_ONCE = 16
"""Questions to the model at a time, and items that are written in one transaction."""


class RunLoop:
    def __init__(self, context: Context, chat: Chat) -> None:
        self._context, self._chat = context, chat

    async def run(self) -> None:
        while True:
            try:
                run = await run_in_threadpool(self._claim)
                if run is not None:
                    await self._work(run)
                    continue
            except SQLAlchemyError as error:
                logger.error("eval runs wait for the database", extra={"reason": repr(error)[:200]})
            await asyncio.sleep(IDLE_S)

    def _claim(self) -> EvalRun | None:
        now = time.time()
        free = select(EvalRun).where(EvalRun.status.in_(("queued", "in_progress")), EvalRun.lease_until < now)
        with self._context.database.read() as session:  # a look costs no lock
            if session.scalar(free.limit(1)) is None:
                return None
        with self._context.database.write() as session:
            run = session.scalar(free.order_by(EvalRun.seq).limit(1).with_for_update(skip_locked=True))
            if run is not None:
                run.status, run.lease_until = "in_progress", now + self._lease_s
            return run

    @property
    def _lease_s(self) -> float:
        return self._context.settings.lease_s / 3

    async def _work(self, run: EvalRun) -> None:
        renewing = asyncio.create_task(self._renew(run.id))  # a batch of answers may take longer than a lease
        try:
            await self._answer(run)
        finally:
            renewing.cancel()

    async def _renew(self, run_id: str) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 4)
            try:
                await run_in_threadpool(self._prolong, run_id)
            except SQLAlchemyError as error:  # away for a while; the next turn tries again
                logger.error("an eval run's lease was not renewed", extra={"reason": repr(error)[:200]})

    def _prolong(self, run_id: str) -> None:
        with self._context.database.write() as session:
            mine = update(EvalRun).where(EvalRun.id == run_id, EvalRun.status == "in_progress")
            session.execute(mine.values(lease_until=time.time() + self._lease_s))

    async def _answer(self, run: EvalRun) -> None:
        try:
            source = checked_source(run.data_source)
            rows = await run_in_threadpool(self._rows, run, source.source)
            done, criteria = await run_in_threadpool(self._begun, run)
            asked = source if isinstance(source, CompletionsSource) and source.asks else None
            left = [row for row in rows if row.number not in done]
            for at in range(0, len(left), AT_ONCE):
                items = await asyncio.gather(
                    *(self._item(run, row, asked, criteria) for row in left[at : at + AT_ONCE])
                )
                if not await run_in_threadpool(self._keep, run, items):
                    return
            await run_in_threadpool(self._end, run, None)
        except SQLAlchemyError:
            raise  # goes on when the lease has run out
        except (UserError, ValueError) as error:
            await run_in_threadpool(self._end, run, {"code": "invalid_data_source", "message": str(error)})
        except Exception as error:  # our own fault: this run fails with it, the next one is tried
            logger.exception("own fault", extra={"run": run.id})
            await run_in_threadpool(self._end, run, {"code": "server_error", "message": repr(error)[:300]})

    def _rows(self, run: EvalRun, source: FileSource | ContentSource | StoredSource) -> list[EvalRow]:
        if not isinstance(source, StoredSource):
            return rows_of(source, self._context.files)
        with self._context.database.read() as session:
            config = session.scalar(select(Eval.data_source_config).where(Eval.id == run.eval_id)) or {}
            return stored_rows(session, run.project, source, config.get("metadata") or {})

    def _begun(self, run: EvalRun) -> tuple[set[int], list[dict[str, Any]]]:
        """Numbers of the items that are there already, and the criteria."""
        with self._context.database.read() as session:
            done = session.scalars(select(EvalItem.datasource_item_id).where(EvalItem.run_id == run.id)).all()
            criteria = session.scalar(select(Eval.testing_criteria).where(Eval.id == run.eval_id)) or []
        return set(done), criteria

    async def _item(
        self, run: EvalRun, row: EvalRow, source: CompletionsSource | None, criteria: list[dict[str, Any]]
    ) -> EvalItem:
        sample = row.sample
        if source is not None:
            try:
                sample = await answered(self._chat, source, row.item, run)
            except UserError as error:
                sample = {"input": [], "output": [], "error": {"code": "invalid_template", "message": error.what}}
        is_error = bool(sample.get("error"))
        grades = [] if is_error else [_graded(definition, row.item, graded_sample(sample)) for definition in criteria]
        results = [
            {"name": one.name, "type": definition["type"], "score": one.score, "passed": one.passed, "sample": None}
            | ({"why": one.why} if one.why else {})
            for definition, one in zip(criteria, grades, strict=False)
        ]
        passed = not is_error and all(one.passed for one in grades)
        return EvalItem(
            id=new_id("outputitem_"), created_at=int(time.time()), run_id=run.id, datasource_item_id=row.number,
            datasource_item=row.item, status="error" if is_error else "pass" if passed else "fail", results=results,
            sample=sample,
        )  # fmt: skip

    def _keep(self, run: EvalRun, items: list[EvalItem]) -> bool:
        """False when the run was cancelled or deleted meanwhile: its items are not kept then."""
        with self._context.database.write() as session:
            held = session.scalar(select(EvalRun).where(EvalRun.id == run.id).with_for_update())
            if held is None or held.status != "in_progress":
                return False
            session.add_all(items)
            return True

    def _end(self, run: EvalRun, error: dict[str, Any] | None) -> None:
        with self._context.database.write() as session:
            held = session.scalar(select(EvalRun).where(EvalRun.id == run.id).with_for_update())
            if held is not None and held.status == "in_progress":
                held.status, held.error = ("failed", error) if error else ("completed", None)
                announce(session, run.project, "eval.run.failed" if error else "eval.run.succeeded", run.id)


def _graded(definition: dict[str, Any], item: dict[str, Any], sample: dict[str, Any]) -> Grade:
    own = {key: value for key, value in definition.items() if key != "id"}
    return grade(read_grader(own, "testing_criteria"), item, sample)
