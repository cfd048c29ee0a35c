"""Stored completions on their way into the database: all that wait are written in one transaction.

With many answers ending at once each would otherwise wait for all the others' commits. A client waits until its
completion outlives a kill of this process; the disk's turn, which takes longer than most answers' last events, follows
within a second.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from serve.chat.capture import Kept
from serve.chat.quick_store import QuickStore
from serve.storage.database import Database
from serve.storage.tables import MetadataPair, StoredCompletion

logger = logging.getLogger("calltune.api")
MAX_BATCH = 256
SETTLE_S = 1.0


class _Waiting(NamedTuple):
    kept: Kept
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[bool]"


class _Settle:
    """Something was committed quickly."""


class StoreWriter:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Waiting | _Settle | None] = queue.SimpleQueue()
        self._quick = QuickStore.of(database)
        self._is_settling = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def save(self, kept: Kept) -> bool:
        """True once it is in the database; False, with the reason in the log, when it cannot be written."""
        if self._quick and self._quick.save(kept):
            if not self._is_settling:
                self._is_settling = True
                self._queue.put(_Settle())
            return True
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._queue.put(_Waiting(kept, loop, done))
        return await asyncio.shield(done)

    def close(self) -> None:
        """Writes what is waiting first."""
        self._queue.put(None)
        self._thread.join()
        if self._quick:
            self._quick.close()

    def _run(self) -> None:
        settle_at: float | None = None
        while True:
            batch, is_last = self._batch(None if settle_at is None else max(0.0, settle_at - time.monotonic()))
            if any(isinstance(item, _Settle) for item in batch):
                settle_at = settle_at or time.monotonic() + SETTLE_S
            if waiting := [item for item in batch if isinstance(item, _Waiting)]:
                self._write(waiting)
            if settle_at and (is_last or time.monotonic() >= settle_at):
                settle_at, self._is_settling = None, False  # before it: what is stored meanwhile asks for the next one
                self._settle()
            if is_last:
                return

    def _settle(self) -> None:
        try:
            self._database.settle()
        except sqlite3.Error as error:  # they outlive this process still
            logger.error("completions may not outlive a power cut", extra={"reason": str(error)})

    def _batch(self, timeout_s: float | None) -> tuple[list[_Waiting | _Settle], bool]:
        """What is waiting, nothing after so much time; and whether it is the end."""
        batch: list[_Waiting | _Settle] = []
        try:
            while len(batch) < MAX_BATCH:
                item = self._queue.get_nowait() if batch else self._queue.get(timeout=timeout_s)
                if item is None:
                    return batch, True
                batch.append(item)
        except queue.Empty:
            pass
        return batch, False

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._database.write() as session:
                # Objects of the mapper would cost the answering thread, which shares the interpreter, ten times this.
                session.execute(insert(StoredCompletion), [_row(item.kept) for item in batch])
                if pairs := [pair for item in batch for pair in _pairs(item.kept)]:
                    session.execute(insert(MetadataPair), pairs)
        except IntegrityError as error:
            if len(batch) > 1:  # one of them is there already: the others must not suffer
                for item in batch:
                    self._write([item])
                return
            self._tell(batch, error)
        except (SQLAlchemyError, UnicodeEncodeError, ValueError) as error:
            self._tell(batch, error)
        else:
            self._tell(batch, None)

    def _tell(self, batch: list[_Waiting], error: Exception | None) -> None:
        if error:
            reason = " ".join(str(error).split())[:200].partition("[SQL")[0]  # the SQL would hold what was asked
            logger.error("completions not stored", extra={"count": len(batch), "reason": reason})
        for item in batch:
            item.loop.call_soon_threadsafe(_resolve, item.done, error is None)


def _resolve(done: "asyncio.Future[bool]", value: bool) -> None:
    if not done.done():
        done.set_result(value)


def _row(kept: Kept) -> dict[str, Any]:
    return {
        "id": kept.id, "project": kept.project, "created_at": kept.created_at, "model": kept.model,
        "request_id": kept.request_id, "request": kept.request, "response": kept.response, "metadata_": kept.metadata,
    }  # fmt: skip


def _pairs(kept: Kept) -> list[dict[str, Any]]:
    return [{"owner": kept.id, "key": key, "value": value} for key, value in kept.metadata.items()]
