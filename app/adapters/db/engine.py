"""Transactions on SQLite and PostgreSQL: one function, run whole on a synchronous SQLAlchemy connection."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

import aiosqlite
import asyncpg
from sqlalchemy import URL, Engine, PoolProxiedConnection, StaticPool, create_engine, func, make_url, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from app.adapters.db.connection import Connection, PostgresConnection, SqliteConnection
from app.ports import DatabaseUnavailable

T = TypeVar("T")

LOCK_TIMEOUT = 5_000
"""Milliseconds a transaction waits for another's lock, on either database."""

PATIENCE: Final = 10.0
"""Seconds a request waits for its transaction on PostgreSQL, for a connection and every answer together.

A server that answers nothing, and a network that has gone, are told by nothing but the time it takes.
"""

_TURN: Final = 0x76657374_7475726E
"""Key of the advisory lock of `await_turn`."""
_TAKE_TURN: Final = select(func.pg_advisory_xact_lock(_TURN).label("taken"))


class Transactions(Protocol):
    """An open database. Returning commits, raising rolls back; nothing is awaited inside.

    Raises `DatabaseUnavailable` where trying again may help.
    """

    async def glance(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, one statement that reads a row by its key, outside of a transaction: what costs least."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that cannot write."""
        ...

    async def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in a write transaction, which may take longer where nobody waits for it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


async def open_engine(url: str, *, pool_size: int = 10) -> Transactions:
    """Open the database of a plain URL: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
    if (file := sqlite_file(url)) is not None:
        return await SqliteTransactions.open(file)
    return PostgresTransactions(url, pool_size=pool_size)


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for a PostgreSQL one. Raises ValueError for anything else."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        return None
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ValueError("database URL: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return Path(parsed.database)


def postgres_url(url: str) -> URL:
    """Return SQLAlchemy's form of a plain PostgreSQL URL, with the driver's word for `sslmode`."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    query = {"ssl" if name == "sslmode" else name: value for name, value in parsed.query.items()}
    return parsed.set(query=query)


def configure_sqlite(connection: sqlite3.Connection) -> None:
    """Set what every SQLite connection of the service has."""
    connection.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # With WAL this survives a crash of the process; a loss of power may cost the last commits, not consistency.
    connection.execute("PRAGMA synchronous = NORMAL")
    # Overwrites deleted content where that costs no extra write: wrapped data keys and sealed values.
    connection.execute("PRAGMA secure_delete = FAST")


_PASSING_STATES: Final = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that say nothing about the statement: connection, rollback, resources, locks, operator."""
_PASSING_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def telling_what_passes() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for what may go better in a while: no connection, a lock not had, a deadlock."""
    try:
        yield
    except (PoolTimeout, OSError) as problem:
        raise DatabaseUnavailable(type(problem).__name__) from problem
    except (DBAPIError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        origin = problem.orig if isinstance(problem, DBAPIError) else problem
        state = str(getattr(origin, "sqlstate", None) or "")
        code = getattr(origin, "sqlite_errorcode", 0) & 0xFF  # without the extension
        # What breaks between two statements has no SQLSTATE.
        broke = isinstance(origin, asyncpg.InterfaceError) or getattr(problem, "connection_invalidated", False)
        if state.startswith(_PASSING_STATES) or code in _PASSING_CODES or broke:
            raise DatabaseUnavailable(f"{state or code}") from problem
        raise


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

    async def glance(self, work: Callable[[Connection], T]) -> T:
        """Run `work` here and now, or in the reader's thread where it would have to wait."""
        try:
            with telling_what_passes():
                return work(self._glancer)
        except DatabaseUnavailable:
            return await self.read(work)

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


def sqlite_engine(creator: Callable[[], sqlite3.Connection], *, begin: str) -> Engine:
    """Return an engine on one SQLite connection whose transactions start with `begin`."""
    engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)

    def do_begin(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(begin)

    # By the dialect and not by an event: where there is one listener, every statement asks for all of them.
    engine.dialect.do_begin = do_begin  # type: ignore[method-assign]  # the dialect is this engine's own
    return engine


class PostgresTransactions:
    """PostgreSQL, any number of processes.

    SQLAlchemy's part is the pool. Transactions begin and end here, by the driver, in the open: a connection of the pool
    begins none on its own.
    """

    def __init__(self, url: str, *, pool_size: int) -> None:
        server_settings = {"application_name": "vestibule", "lock_timeout": str(LOCK_TIMEOUT)}
        self._engine = create_async_engine(
            postgres_url(url),
            pool_size=pool_size,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={"server_settings": server_settings},
        )
        self._pool = self._engine.pool

    async def glance(self, work: Callable[[Connection], T]) -> T:
        """Run `work` without the statements that begin and end a transaction."""
        return await self._run(work, None, PATIENCE)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction."""
        return await self._run(work, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", PATIENCE)

    async def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in a write transaction, which may take longer where nobody waits for it."""
        return await self._run(work, "BEGIN ISOLATION LEVEL READ COMMITTED", patience)

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T], begin: str | None, patience: float) -> T:
        """Run `work` whole, from taking the connection to giving it back.

        In one greenlet of SQLAlchemy's, which waits for the network on behalf of synchronous code; its own asynchronous
        classes make one for each of begin, work, commit and close.
        """

        def whole() -> T:
            with self._taken() as raw:
                return work(PostgresConnection(raw)) if begin is None else _in_transaction(raw, begin, work)

        with telling_what_passes():
            async with asyncio.timeout(patience):
                return await greenlet_spawn(whole)

    @contextmanager
    def _taken(self) -> Iterator[asyncpg.Connection]:
        """Give a connection of the pool that works; none that broke or was left in the middle goes back to it."""
        pooled = self._pool.connect()
        raw: asyncpg.Connection = pooled.driver_connection
        while raw.is_closed():  # it broke while it lay in the pool
            pooled.invalidate()
            pooled = self._pool.connect()
            raw = pooled.driver_connection
        try:
            yield raw
        except BaseException as problem:
            if not isinstance(problem, Exception):
                raw.terminate()  # nobody waits any more: out of patience, or the service stops
            raise
        finally:
            if raw.is_closed():
                pooled.invalidate()
            pooled.close()


def _in_transaction(raw: asyncpg.Connection, begin: str, work: Callable[[Connection], T]) -> T:
    await_only(raw.execute(begin))
    connection = PostgresConnection(raw)
    try:
        result = work(connection)
        connection.settle()
    except Exception:
        if not raw.is_closed():
            await_only(raw.execute("ROLLBACK"))
        raise
    await_only(raw.execute("COMMIT"))
    return result


def await_turn(connection: Connection) -> None:
    """Wait, before anything else of a transaction that changes many rows, until no other such transaction runs.

    Expiry, the rotation of data keys and the deletion of a tenant meet the same rows in different orders, and would
    each hold what the other waits for. On SQLite whoever writes is alone anyway.
    """
    if connection.kind == "postgresql":
        connection.execute(_TAKE_TURN)
