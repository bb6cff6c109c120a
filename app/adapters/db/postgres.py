"""PostgreSQL, any number of processes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

import asyncpg
from msgspec import Struct
from sqlalchemy import URL, Dialect, make_url
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.sql.base import Executable
from sqlalchemy.util import await_only, greenlet_spawn

from app.adapters.db.connection import NOTHING, Connection, Executed, Missed
from app.adapters.db.pool import Pool
from app.adapters.db.prepared import Prepared, Row, prepare
from app.adapters.db.transactions import LOCK_TIMEOUT, PATIENCE, telling_what_passes
from app.ports import DatabaseUnavailable

T = TypeVar("T")

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there
_MOST_AT_ONCE: Final = 16
"""Changes that go together; a statement has at most 32 767 parameters."""
_PARAMETER: Final = re.compile(r"\$(\d+)")


class _Waiting(Struct, frozen=True):
    """A change that was not sent yet."""

    prepared: Prepared
    values: list[Any]
    missed: Missed | None


class PostgresConnection:
    """asyncpg: a statement is a way to the server and back, so changes wait for each other and go as one statement.

    Lives in a greenlet of SQLAlchemy's.
    """

    kind: Final = "postgresql"

    def __init__(self, raw: asyncpg.Connection) -> None:
        self._raw = raw
        self._waiting: list[_Waiting] = []

    def execute(self, statement: Executable, binds: Mapping[str, Any] = NOTHING) -> Executed:
        """Execute a statement with these parameters, behind what waits or together with it."""
        prepared = prepare(_DIALECT, statement, tuple(binds))
        if prepared.row is None:
            self._let_wait(_Waiting(prepared, prepared.values(binds), None))
            return Executed([], self._send(asks_for_last=True))
        self.settle()
        return Executed(prepared.rows(await_only(self._raw.fetch(prepared.sql, *prepared.values(binds)))), 0)

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Let a change wait for others."""
        prepared = prepare(_DIALECT, statement, tuple(binds))
        self._let_wait(_Waiting(prepared, prepared.values(binds), missed))

    def settle(self) -> None:
        """Execute what waits."""
        if self._waiting:
            self._send(asks_for_last=False)

    def _let_wait(self, one: _Waiting) -> None:
        if len(self._waiting) == _MOST_AT_ONCE or any(_must_be_done(other, before=one) for other in self._waiting):
            self.settle()
        self._waiting.append(one)

    def _send(self, *, asks_for_last: bool) -> int:
        """Execute what waits; return how many rows the last one met, if that is asked for."""
        waiting, self._waiting = self._waiting, []
        asked = [one.missed is not None for one in waiting]
        asked[-1] |= asks_for_last
        if len(waiting) == 1:
            # The command tag ends with the number of rows: INSERT 0 1, UPDATE 1, DELETE 1.
            tag: str = await_only(self._raw.execute(waiting[0].prepared.sql, *waiting[0].values))
            counts = [int(tag.rpartition(" ")[2])]
        else:
            sql = _together(tuple((one.prepared.sql, is_asked) for one, is_asked in zip(waiting, asked, strict=True)))
            values = [value for one in waiting for value in one.values]
            counts = list(await_only(self._raw.fetchrow(sql, *values)))
        for one, count in zip(waiting, counts, strict=True):
            if count == 0 and one.missed is not None:
                raise one.missed()
        return counts[-1]


def _must_be_done(one: _Waiting, *, before: _Waiting) -> bool:
    """Whether two changes cannot share a statement, whose parts do not see each other's rows."""
    touches_its_rows = not before.prepared.only_adds and one.prepared.table == before.prepared.table
    # Where a row is gone it is this one that says so, not a foreign key of the other.
    is_its_guard = one.missed is not None and one.prepared.table in before.prepared.points_at
    return touches_its_rows or is_its_guard


@lru_cache(256)
def _together(changes: tuple[tuple[str, bool], ...]) -> str:
    """Make one statement of several, which returns how many rows each met, 1 for those of which nobody asks.

    WITH _0 AS (INSERT … RETURNING 1), _1 AS (INSERT …) SELECT (SELECT count(*) FROM _0), 1
    """
    before, parts, counts = 0, [], []
    for number, (sql, is_asked) in enumerate(changes):
        returning = " RETURNING 1" if is_asked else ""
        parts.append(f"_{number} AS ({re.sub(_PARAMETER, partial(_moved, by=before), sql)}{returning})")
        counts.append(f"(SELECT count(*) FROM _{number})" if is_asked else "1")  # noqa: S608  names made here
        before += max((int(number) for number in re.findall(_PARAMETER, sql)), default=0)
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"


def _moved(parameter: re.Match[str], *, by: int) -> str:
    return f"${int(parameter[1]) + by}"


class PostgresTransactions:
    """`Transactions` on PostgreSQL, any number of processes."""

    def __init__(self, url: str, *, pool_size: int) -> None:
        settings = {"application_name": "vestibule", "lock_timeout": str(LOCK_TIMEOUT)}
        self._pool = Pool(url, size=pool_size, server_settings=settings)

    async def glance(self, statement: Executable, binds: Mapping[str, Any]) -> list[Row]:
        """Execute without the statements that begin and end a transaction."""
        prepared = prepare(_DIALECT, statement, tuple(binds))
        async with self._taken(PATIENCE) as raw:
            return prepared.rows(await raw.fetch(prepared.sql, *prepared.values(binds)))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-only transaction."""
        return await self._run(work, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", PATIENCE)

    async def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in a write transaction, which may take longer where nobody waits for it."""
        return await self._run(work, "BEGIN ISOLATION LEVEL READ COMMITTED", patience)

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._pool.close()

    @asynccontextmanager
    async def _taken(self, patience: float) -> AsyncIterator[asyncpg.Connection]:
        with telling_what_passes():
            async with asyncio.timeout(patience), self._pool.connection() as raw:
                try:
                    yield raw
                except asyncpg.InterfaceError as problem:
                    # What breaks between two statements has no SQLSTATE.
                    if raw.is_closed():
                        raise DatabaseUnavailable("connection closed") from problem
                    raise

    async def _run(self, work: Callable[[Connection], T], begin: str, patience: float) -> T:
        """Run `work` in one greenlet of SQLAlchemy's, which waits for the network on behalf of synchronous code."""

        def whole(connection: PostgresConnection) -> T:
            result = work(connection)
            connection.settle()
            return result

        async with self._taken(patience) as raw:
            await raw.execute(begin)
            try:
                result = await greenlet_spawn(whole, PostgresConnection(raw))
            except Exception:
                if not raw.is_closed():
                    await raw.execute("ROLLBACK")
                raise
            # A transaction in which a statement failed answers ROLLBACK, and that is no error.
            if await raw.execute("COMMIT") != "COMMIT":
                raise RuntimeError("a failed statement was passed over")
            return result


def postgres_url(url: str) -> URL:
    """Return SQLAlchemy's form of a plain PostgreSQL URL, with the driver's word for `sslmode`."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    query = {"ssl" if name == "sslmode" else name: value for name, value in parsed.query.items()}
    return parsed.set(query=query)
