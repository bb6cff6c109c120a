"""An open connection to a database, as repositories use it: it executes what SQLAlchemy built, by the driver itself.

What SQLAlchemy does for every execution, a context, a cursor and a result of its own, costs more than most statements
do (docs/benchmark.md). Errors are the driver's: `sqlite3.Error` and `asyncpg.PostgresError`.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, Literal, Protocol

import asyncpg
from msgspec import Struct
from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.sql.base import Executable
from sqlalchemy.util import await_only

from app.adapters.db.prepared import Prepared, Row, prepare

TAKEN: Final = (sqlite3.IntegrityError, asyncpg.UniqueViolationError)
"""Raised where a unique key is taken."""

Missed = Callable[[], Exception]

_MOST_AT_ONCE: Final = 16
"""Changes that go together; a statement has at most 32 767 parameters."""
_PARAMETER: Final = re.compile(r"\$(\d+)")
_NOTHING: Final[Mapping[str, Any]] = {}
_SQLITE: Final[Dialect] = sqlite.dialect()
_POSTGRESQL: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there


class Executed(Struct, frozen=True):
    """What a statement found or did."""

    rows: list[Row]
    count: int
    """How many rows it made, changed or deleted; says nothing where it returned rows."""

    @property
    def first(self) -> Row | None:
        """The first row, None where there is none."""
        return self.rows[0] if self.rows else None


class Connection(Protocol):
    """A connection within a transaction."""

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database this is."""
        ...

    def execute(self, statement: Executable, binds: Mapping[str, Any] = _NOTHING) -> Executed:
        """Execute a statement with these parameters."""
        ...

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Execute a change whose outcome nobody waits for: by the end of the transaction.

        Where it meets no row and there is `missed`, what that returns is raised: here, or later in the transaction.
        """
        ...


class SqliteConnection:
    """sqlite3: a statement is the call of a function, so nothing has to wait."""

    kind: Final = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, statement: Executable, binds: Mapping[str, Any] = _NOTHING) -> Executed:
        """Execute a statement with these parameters."""
        prepared = prepare(_SQLITE, statement, tuple(binds))
        cursor = self._raw.execute(prepared.sql, prepared.values(binds))
        return Executed([], cursor.rowcount) if prepared.row is None else Executed(prepared.rows(cursor.fetchall()), 0)

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Execute a change now."""
        if self.execute(statement, binds).count == 0 and missed is not None:
            raise missed()


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

    def execute(self, statement: Executable, binds: Mapping[str, Any] = _NOTHING) -> Executed:
        """Execute a statement with these parameters, behind what waits or together with it."""
        prepared = prepare(_POSTGRESQL, statement, tuple(binds))
        if prepared.row is None:
            self._let_wait(_Waiting(prepared, prepared.values(binds), None))
            return Executed([], self._send(asks_for_last=True))
        self.settle()
        return Executed(prepared.rows(await_only(self._raw.fetch(prepared.sql, *prepared.values(binds)))), 0)

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Let a change wait for others."""
        prepared = prepare(_POSTGRESQL, statement, tuple(binds))
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
    # Where rows are gone it is this one that says so, not a foreign key of the other.
    is_its_guard = one.missed is not None and before.prepared.points
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
