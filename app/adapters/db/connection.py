"""An open connection to a database, as repositories use it: it executes what SQLAlchemy built, by the driver itself.

What SQLAlchemy does for every execution, a context, a cursor and a result of its own, costs more than most statements
do (docs/benchmark.md). Errors are the driver's: `sqlite3.Error` and `asyncpg.PostgresError`.
"""

import re
import sqlite3
from collections.abc import Mapping
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

_MOST_AT_ONCE: Final = 16
"""INSERTs that go together; a statement has at most 32 767 parameters."""
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

    def insert_soon(self, statement: Executable, binds: Mapping[str, Any]) -> None:
        """Execute an INSERT of which nobody asks what it did: before the next statement, or the end, at the latest."""
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

    def insert_soon(self, statement: Executable, binds: Mapping[str, Any]) -> None:
        """Execute an INSERT."""
        self.execute(statement, binds)


class PostgresConnection:
    """asyncpg: a statement is a way to the server and back, so INSERTs that can wait go together, as one statement.

    Lives in a greenlet of SQLAlchemy's.
    """

    kind: Final = "postgresql"

    def __init__(self, raw: asyncpg.Connection) -> None:
        self._raw = raw
        self._waiting: list[tuple[Prepared, list[Any]]] = []

    def execute(self, statement: Executable, binds: Mapping[str, Any] = _NOTHING) -> Executed:
        """Execute a statement with these parameters, behind what waits."""
        self.settle()
        prepared = prepare(_POSTGRESQL, statement, tuple(binds))
        values = prepared.values(binds)
        if prepared.row is not None:
            return Executed(prepared.rows(await_only(self._raw.fetch(prepared.sql, *values))), 0)
        # The command tag ends with the number of rows: INSERT 0 1, UPDATE 1, DELETE 1.
        tag: str = await_only(self._raw.execute(prepared.sql, *values))
        return Executed([], int(tag.rpartition(" ")[2]))

    def insert_soon(self, statement: Executable, binds: Mapping[str, Any]) -> None:
        """Let an INSERT wait for others."""
        prepared = prepare(_POSTGRESQL, statement, tuple(binds))
        self._waiting.append((prepared, prepared.values(binds)))
        if len(self._waiting) == _MOST_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Execute what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            values = [value for _, values in waiting for value in values]
            await_only(self._raw.execute(_together(tuple(prepared.sql for prepared, _ in waiting)), *values))


@lru_cache(256)
def _together(inserts: tuple[str, ...]) -> str:
    """Make one statement of several: WITH _0 AS (INSERT …), _1 AS (INSERT …) INSERT …"""
    before, renumbered = 0, []
    for sql in inserts:
        renumbered.append(re.sub(r"\$(\d+)", partial(_moved, by=before), sql))
        before += max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
    *first, last = renumbered
    parts = ", ".join(f"_{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {parts} {last}" if first else last


def _moved(parameter: re.Match[str], *, by: int) -> str:
    return f"${int(parameter[1]) + by}"
