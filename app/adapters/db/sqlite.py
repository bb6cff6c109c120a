"""SQLite: one process, one writer."""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import aiosqlite
from sqlalchemy import Dialect, Engine, PoolProxiedConnection, StaticPool, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable

from app.adapters.db.connection import NOTHING, Connection, Executed, Missed
from app.adapters.db.prepared import Row, prepare
from app.adapters.db.transactions import LOCK_TIMEOUT, PATIENCE, telling_what_passes
from app.ports import DatabaseUnavailable

T = TypeVar("T")

_DIALECT: Final[Dialect] = sqlite.dialect()


class SqliteConnection:
    """sqlite3: a statement is the call of a function, so nothing has to wait."""

    kind: Final = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, statement: Executable, binds: Mapping[str, Any] = NOTHING) -> Executed:
        """Execute a statement with these parameters."""
        prepared = prepare(_DIALECT, statement, tuple(binds))
        cursor = self._raw.execute(prepared.sql, prepared.values(binds))
        return Executed([], cursor.rowcount) if prepared.row is None else Executed(prepared.rows(cursor.fetchall()), 0)

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Execute a change now."""
        if self.execute(statement, binds).count == 0 and missed is not None:
            raise missed()


class SqliteTransactions:
    """SQLite: one connection that writes and one that reads, each in a thread of its own; one for glances in this one.

    A process has one writer at a time anyway; readers of a WAL see the last commit and wait for nobody. A glance
    takes a tenth of what handing it to a thread would.
    """

    def __init__(self, glancer: sqlite3.Connection, reader: "_SqliteWorker", writer: "_SqliteWorker") -> None:
        self._raw_glancer, self._glancer = glancer, SqliteConnection(glancer)
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, file: Path) -> "SqliteTransactions":
        """Open a database file."""
        writer = await _SqliteWorker.open(file, begin="BEGIN IMMEDIATE")
        reader = await _SqliteWorker.open(file, begin="BEGIN", query_only=True)
        return cls(_glancer(file), reader, writer)

    async def glance(self, statement: Executable, binds: Mapping[str, Any]) -> list[Row]:
        """Execute here and now, or in the reader's thread where it would have to wait."""
        try:
            with telling_what_passes():
                return self._glancer.execute(statement, binds).rows
        except DatabaseUnavailable:
            return await self.read(lambda connection: connection.execute(statement, binds).rows)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that cannot write."""
        with telling_what_passes():
            return await self._reader.run(work)

    async def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in a write transaction, begun with the write lock."""
        with telling_what_passes():
            return await self._writer.run(work)

    async def close(self) -> None:
        """Close every connection."""
        self._raw_glancer.close()
        await self._reader.close()
        await self._writer.close()


def _glancer(file: Path) -> sqlite3.Connection:
    """Open a connection of this thread that only reads, and never waits."""
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute("PRAGMA busy_timeout = 0")
    raw.execute("PRAGMA query_only = ON")
    return raw


class _SqliteWorker:
    """An aiosqlite connection that runs a transaction whole in its thread: one hop."""

    def __init__(self, driver: aiosqlite.Connection, begin: str) -> None:
        self._driver, self._begin = driver, begin

    @classmethod
    async def open(cls, file: Path, *, begin: str, query_only: bool = False) -> "_SqliteWorker":
        # isolation_level=None: the driver begins nothing on its own, so `begin` is the only BEGIN.
        driver = await aiosqlite.connect(file, isolation_level=None)

        def configure(raw: sqlite3.Connection) -> None:
            configure_sqlite(raw)
            if query_only:
                raw.execute("PRAGMA query_only = ON")

        await run_in_thread_of(driver, configure)
        return cls(driver, begin)

    async def run(self, work: Callable[[Connection], T]) -> T:
        def transaction(raw: sqlite3.Connection) -> T:
            raw.execute(self._begin)
            try:
                result = work(SqliteConnection(raw))
                raw.execute("COMMIT")
            finally:
                # Something was raised; also a COMMIT that a deferred constraint refuses leaves the transaction open.
                if raw.in_transaction:
                    raw.rollback()
            return result

        return await run_in_thread_of(self._driver, transaction)

    async def close(self) -> None:
        await self._driver.close()


async def run_in_thread_of(driver: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function whole in the thread that owns an aiosqlite connection.

    aiosqlite offers this for its own methods only, each one hop and one statement; a transaction of several
    statements in one hop is about four times cheaper. Hence its two private names, here and nowhere else.
    """
    return cast("T", await driver._execute(lambda: work(driver._conn)))  # type: ignore[no-untyped-call]  # noqa: SLF001


def configure_sqlite(connection: sqlite3.Connection) -> None:
    """Set what every SQLite connection of the service has."""
    connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # With WAL this survives a crash of the process; a loss of power may cost the last commits, not consistency.
    connection.execute("PRAGMA synchronous = NORMAL")
    # Overwrites deleted content where that costs no extra write: wrapped data keys and sealed values.
    connection.execute("PRAGMA secure_delete = FAST")


def sqlite_engine(creator: Callable[[], sqlite3.Connection], *, begin: str) -> Engine:
    """Return an engine on one SQLite connection whose transactions start with `begin`."""
    engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)

    def do_begin(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(begin)

    # SQLAlchemy's own does nothing: it leaves BEGIN to the driver, which is told to begin nothing.
    engine.dialect.do_begin = do_begin  # type: ignore[method-assign]  # the dialect is this engine's own
    return engine
