"""Completions into the database: at once where nobody else writes, else behind whoever does, each once."""

import asyncio
import sqlite3
from pathlib import Path

from sqlalchemy import select

from serve.chat.capture import Kept
from serve.chat.quick_store import QuickStore
from serve.chat.store_writer import StoreWriter
from serve.storage.database import Database
from serve.storage.tables import MetadataPair, StoredCompletion


def kept(name: str) -> Kept:
    return Kept(name, "p", 1, "m", "r", b'{"a": "\xc3\xbc"}', b"{}", {"k\ud800": "v", "n": name})


def plain(name: str) -> Kept:
    return kept(name)._replace(metadata={"n": name})


def ids(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(StoredCompletion.id).order_by(StoredCompletion.seq)))


def test_a_quick_save_is_what_the_thread_would_have_written(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    quick = QuickStore.of(database)
    assert quick and quick.save(plain("quick"))
    with database.read() as session:
        stored = session.scalar(select(StoredCompletion))
        assert stored and (stored.id, stored.project, stored.request, stored.response, stored.metadata_) == (
            "quick", "p", b'{"a": "\xc3\xbc"}', b"{}", {"n": "quick"},
        )  # fmt: skip
        assert [(pair.owner, pair.key, pair.value) for pair in session.scalars(select(MetadataPair))] == [
            ("quick", "n", "quick")
        ]
    assert not quick.save(plain("quick"))  # there is one of that id
    assert not quick.save(kept("half a surrogate pair"))
    assert quick.save(plain("after"))
    assert ids(database) == ["quick", "after"]


def test_a_save_waits_in_the_thread_while_somebody_else_writes(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)

    async def run() -> None:
        writer = StoreWriter(database)
        assert await writer.save(plain("before"))
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(writer.save(plain("behind")))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting
        assert not await writer.save(plain("before"))
        await asyncio.to_thread(writer.close)

    asyncio.run(run())
    assert ids(database) == ["before", "behind"]
    log = tmp_path / "a.db-wal"
    assert not log.exists() or b"behind" not in log.read_bytes() or b"behind" in (tmp_path / "a.db").read_bytes()


def test_what_was_stored_quickly_is_written_back_soon(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")

    async def run() -> None:
        writer = StoreWriter(database)
        for number in range(50):
            assert await writer.save(plain(f"stored-{number}"))
        assert b"stored-49" not in (tmp_path / "a.db").read_bytes()
        await asyncio.sleep(2)
        assert b"stored-49" in (tmp_path / "a.db").read_bytes()
        await asyncio.to_thread(writer.close)

    asyncio.run(run())
