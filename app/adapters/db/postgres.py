"""PostgreSQL, any number of processes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, TypeVar

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
from app.protocol.refusal import Refusal

T = TypeVar("T")

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there
_OF_SQLALCHEMY: Final = {"prepared_statement_cache_size", "prepared_statement_name_func"}
"""What a URL may say to SQLAlchemy alone."""
_MOST_AT_ONCE: Final = 16
"""Changes that go together; a statement has at most 32 767 parameters."""
_CHECK_CLIENT: Final = 1_000
"""Milliseconds after which PostgreSQL looks whether somebody still waits for a statement that runs."""
_PARAMETER: Final = re.compile(r"\$(\d+)")
_VALUES: Final = re.compile(r" VALUES \((.*)\)(?=$| ON CONFLICT )")


class _Waiting(Struct, frozen=True):
    """A change that was not sent yet."""

    prepared: Prepared
    values: list[Any]
    missed: Missed | None
    """What a guard raises that meets no row; the others are no guards."""


class PostgresConnection:
    """asyncpg: a statement is a way to the server and back, so changes wait for each other and go as one statement.

    A look-up needs no BEGIN, as each sees what was committed before it (read committed), nor does a transaction whose
    changes go as one statement. Lives in a greenlet of SQLAlchemy's.
    """

    kind: Final = "postgresql"

    def __init__(self, raw: asyncpg.Connection, *, read_only: bool = False) -> None:
        self._raw, self._read_only = raw, read_only
        self._has_begun = False
        self._waiting: list[_Waiting] = []
        self._miss: Exception | None = None

    def execute(self, statement: Executable, binds: Mapping[str, Any] = NOTHING) -> Executed:
        """Execute a statement with these parameters, behind what waits or together with it."""
        prepared = self._prepare(statement, binds)
        if not prepared.only_looks:
            self._begin()
        if prepared.row is None:
            self._let_wait(_Waiting(prepared, prepared.values(binds), None))
            return Executed([], self._send(asks_for_last=True))
        self.settle()
        return Executed(prepared.rows(await_only(self._raw.fetch(prepared.sql, *prepared.values(binds)))), 0)

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Let a change wait for others."""
        prepared = self._prepare(statement, binds)
        self._let_wait(_Waiting(prepared, prepared.values(binds), missed))

    def settle(self) -> None:
        """Execute what waits."""
        if self._waiting:
            self._begin()
            self._send()

    def commit(self) -> None:
        """Execute what waits, and commit. A miss or a failed statement that was passed over is raised."""
        if self._miss is not None:
            raise self._miss
        if self._waiting and not self._has_begun and self._commits_alone():
            return
        self.settle()
        # A transaction in which a statement failed answers ROLLBACK, and that is no error.
        if self._has_begun and await_only(self._raw.execute("COMMIT")) != "COMMIT":
            raise RuntimeError("a failed statement was passed over")

    def hear_guards(self) -> None:
        """Let guards that wait speak before a refusal that came later, as if they had not waited."""
        if self._miss is None:
            self._waiting = [one for one in self._waiting if one.missed is not None]
            self.settle()

    def roll_back(self) -> None:
        """Undo everything."""
        if self._has_begun and not self._raw.is_closed():
            await_only(self._raw.execute("ROLLBACK"))

    def _prepare(self, statement: Executable, binds: Mapping[str, Any]) -> Prepared:
        prepared = prepare(_DIALECT, statement, tuple(binds))
        if self._read_only and not prepared.only_looks:
            raise RuntimeError("a change in a transaction that only reads")
        return prepared

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            await_only(self._raw.execute("BEGIN"))

    def _commits_alone(self) -> bool:
        """Execute what waits as a transaction of its own; False, and nothing happened, if one of several missed."""
        if len(self._waiting) == 1:
            self._send()
            return True
        sql, values = _joined(self._waiting, all_or_nothing=True)
        try:
            await_only(self._raw.execute(sql, *values))
        except asyncpg.DivisionByZeroError:
            return False
        return True

    def _let_wait(self, one: _Waiting) -> None:
        # The parts of a statement do not see each other's rows.
        touches_their_rows = not one.prepared.only_adds and any(
            one.prepared.table == other.prepared.table for other in self._waiting
        )
        if touches_their_rows or len(self._waiting) == _MOST_AT_ONCE:
            self.settle()
        self._waiting.append(one)
        self._waiting.sort(key=lambda one: one.missed is None)  # guards first: INSERTs stand behind them

    def _send(self, *, asks_for_last: bool = False) -> int:
        """Execute what waits; return how many rows the last one met, if that is asked for."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            # The command tag ends with the number of rows: INSERT 0 1, UPDATE 1, DELETE 1.
            tag: str = await_only(self._raw.execute(waiting[0].prepared.sql, *waiting[0].values))
            counts = [int(tag.rpartition(" ")[2])]
        else:
            sql, values = _joined(waiting, asks_for_last=asks_for_last)
            counts = list(await_only(self._raw.fetchrow(sql, *values)))
        for one, count in zip(waiting, counts, strict=True):
            if count == 0 and one.missed is not None:
                self._miss = one.missed()
                raise self._miss
        return counts[-1]


def _joined(
    waiting: Sequence[_Waiting], *, asks_for_last: bool = False, all_or_nothing: bool = False
) -> tuple[str, list[Any]]:
    """Return several changes as one statement, and its parameters."""
    guards = [number for number, one in enumerate(waiting) if one.missed is not None]
    parts = tuple(
        _Part(
            one.prepared.sql,
            is_asked=number in guards or (asks_for_last and one is waiting[-1]),
            if_met=tuple(guard for guard in guards if guard < number) if one.prepared.is_insert else (),
        )
        for number, one in enumerate(waiting)
    )
    return _together(parts, all_or_nothing), [value for one in waiting for value in one.values]


class _Part(NamedTuple):
    """A change as a part of a statement."""

    sql: str
    is_asked: bool
    """Whether its rows are counted."""
    if_met: tuple[int, ...]
    """The guards without which it does not happen: a foreign key would speak before they do."""


@lru_cache(256)
def _together(parts: tuple[_Part, ...], all_or_nothing: bool) -> str:
    """Make one statement of several, which returns how many rows each met, 1 for those of which nobody asks.

    WITH _0 AS (UPDATE … RETURNING 1), _1 AS (INSERT … SELECT … WHERE EXISTS (SELECT FROM _0))
    SELECT (SELECT count(*) FROM _0), 1

    All or nothing: where a part that is asked met no row, a division by zero undoes the statement.
    """
    before, written, counts = 0, [], []
    for number, part in enumerate(parts):
        sql = re.sub(_PARAMETER, partial(_moved, by=before), part.sql)
        before += max((int(number) for number in re.findall(_PARAMETER, part.sql)), default=0)
        if part.if_met:
            met = " AND ".join(f"EXISTS (SELECT FROM _{guard})" for guard in part.if_met)
            sql, found = re.subn(_VALUES, rf" SELECT \1 WHERE {met}", sql)
            if not found:
                raise ValueError("an INSERT without VALUES cannot stand behind a guard")
        written.append(f"_{number} AS ({sql}{' RETURNING 1' if part.is_asked else ''})")
        count = f"(SELECT count(*) FROM _{number})" if part.is_asked else "1"  # noqa: S608  names made here
        counts.append(f"1 / {count}" if all_or_nothing else count)
    return f"WITH {', '.join(written)} SELECT {', '.join(counts)}"


def _moved(parameter: re.Match[str], *, by: int) -> str:
    return f"${int(parameter[1]) + by}"


class PostgresTransactions:
    """`Transactions` on PostgreSQL, any number of processes."""

    def __init__(self, url: str, *, pool_size: int) -> None:
        settings = {
            "application_name": "vestibule",
            "lock_timeout": str(LOCK_TIMEOUT),
            # Who stopped waiting closed the connection; a statement that still runs shall not commit after that.
            "client_connection_check_interval": str(_CHECK_CLIENT),
            "default_transaction_isolation": "read committed",
        }
        # Read as everywhere else, by SQLAlchemy: asyncpg takes a password with a slash for a port.
        _, arguments = _DIALECT.create_connect_args(postgres_url(url))
        of_asyncpg = {name: value for name, value in arguments.items() if name not in _OF_SQLALCHEMY}
        self._pool = Pool(size=pool_size, **of_asyncpg, server_settings=settings)

    async def glance(self, statement: Executable, binds: Mapping[str, Any]) -> list[Row]:
        """Execute without the statements that begin and end a transaction."""
        prepared = prepare(_DIALECT, statement, tuple(binds))
        async with self._taken(PATIENCE) as raw:
            return prepared.rows(await raw.fetch(prepared.sql, *prepared.values(binds)))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which cannot change anything; each of its statements sees what was committed before it."""
        return await self._run(work, PATIENCE, read_only=True)

    async def write(self, work: Callable[[Connection], T], *, patience: float = PATIENCE) -> T:
        """Run `work` in a write transaction, which may take longer where nobody waits for it."""
        return await self._run(work, patience)

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
                except asyncpg.InternalClientError as problem:
                    # The server has said goodbye, and has not hung up yet.
                    raw.terminate()
                    raise DatabaseUnavailable("connection closing") from problem

    async def _run(self, work: Callable[[Connection], T], patience: float, *, read_only: bool = False) -> T:
        """Run `work` in one greenlet of SQLAlchemy's, which waits for the network on behalf of synchronous code."""

        def whole(connection: PostgresConnection) -> T:
            try:
                try:
                    result = work(connection)
                    connection.commit()
                except Refusal:
                    connection.hear_guards()
                    raise
            except Exception:
                connection.roll_back()
                raise
            return result

        async with self._taken(patience) as raw:
            return await greenlet_spawn(whole, PostgresConnection(raw, read_only=read_only))


def postgres_url(url: str) -> URL:
    """Return SQLAlchemy's form of a plain PostgreSQL URL, with the driver's word for `sslmode`."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    query = {"ssl" if name == "sslmode" else name: value for name, value in parsed.query.items()}
    return parsed.set(query=query)
