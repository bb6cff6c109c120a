"""An open connection to a database, as repositories use it: it executes what SQLAlchemy built, by the driver itself.

What SQLAlchemy does for every execution, a context, a cursor and a result of its own, costs more than most statements
do (docs/benchmark.md). Errors are the driver's: `sqlite3.Error` and `asyncpg.PostgresError`.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import asyncpg
from msgspec import Struct
from sqlalchemy.sql.base import Executable

from app.adapters.db.prepared import Row

TAKEN: Final = (sqlite3.IntegrityError, asyncpg.UniqueViolationError)
"""Raised where a unique key is taken; by SQLite also where another constraint refuses."""

Missed = Callable[[], Exception]

NOTHING: Final[Mapping[str, Any]] = {}


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

    def execute(self, statement: Executable, binds: Mapping[str, Any] = NOTHING) -> Executed:
        """Execute a statement with these parameters."""
        ...

    def execute_soon(self, statement: Executable, binds: Mapping[str, Any], missed: Missed | None = None) -> None:
        """Execute a change whose outcome nobody waits for: by the end of the transaction.

        Where it meets no row and there is `missed`, what that returns is raised: here, or later in the transaction.
        """
        ...
