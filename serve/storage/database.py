"""The database: SQLite in WAL mode, or PostgreSQL by URL; several processes may use one at once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from data.user_error import UserError
from serve.storage.tables import Base

BUSY_TIMEOUT_S = 30
CHECKPOINT_WAIT_S = 0.2
GIVE = "give sqlite:///FILE or postgresql://USER@HOST/NAME"
CREATING_TABLES = 6_401_337  # an advisory lock of PostgreSQL: any number that nobody else takes


class Database:
    """`with database.read() as session:` and `with database.write() as session:`, each one transaction."""

    def __init__(self, url: str) -> None:
        """Creates the tables where they are missing. Raises UserError for a URL that leads nowhere."""
        parsed = _parsed(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._reader = _sqlite_engine(parsed, "BEGIN") if self.is_sqlite else _postgres_engine(parsed)
        # A SQLite transaction that begins with reading cannot wait for another writer: those that write say so first.
        self._writer = _sqlite_engine(parsed, "BEGIN IMMEDIATE") if self.is_sqlite else self._reader
        self._path = parsed.database if self.is_sqlite else None
        try:
            self._create_tables()
        except (OperationalError, ProgrammingError) as error:
            reason = " ".join(str(error.orig).split())
            where = parsed.render_as_string(hide_password=True)
            raise UserError(f"cannot be used as database: {reason}", where=where, fix="check `database`") from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self._reader) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Commits at the end of the block; an exception undoes all of it."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def quick_connection(self) -> sqlite3.Connection | None:
        """Of SQLite alone: it waits neither for a lock (sqlite3.OperationalError) nor for the disk. What it commits
        outlives a kill of the process at once, and a power cut from the next `settle` on."""
        if not self._path:
            return None
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # `settle` writes the log back, in a thread of its own
        return connection

    def settle(self) -> None:
        """Waits until what was committed quickly is on the disk."""
        if self._path:
            self._checkpoint("PASSIVE")

    def forget(self) -> None:
        """What was deleted leaves the disk too: SQLite's log holds it until it is written back. Where somebody reads
        just now, the next call does it."""
        if self._path:
            self._checkpoint("TRUNCATE")

    def _checkpoint(self, mode: Literal["PASSIVE", "TRUNCATE"]) -> None:
        assert self._path
        with closing(sqlite3.connect(self._path, timeout=CHECKPOINT_WAIT_S)) as connection:
            connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()

    def _create_tables(self) -> None:
        with self._writer.begin() as connection:
            if not self.is_sqlite:  # two processes that start together would both create them
                connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": CREATING_TABLES})
            Base.metadata.create_all(connection)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UserError(
            "is no database URL", where="database", fix="give sqlite:///FILE or postgresql://..."
        ) from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise UserError(f"{parsed.get_backend_name()} is not supported", where="database", fix=GIVE)
    return parsed


def _postgres_engine(url: URL) -> Engine:
    # Pinged before use: after a restart of the database the first request must not meet a dead connection.
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=30, connect_args={"connect_timeout": 5})


def _sqlite_engine(url: URL, begin: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late: SQLAlchemy sends it
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what was accepted outlives the machine's power
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # zeros where something was deleted

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
