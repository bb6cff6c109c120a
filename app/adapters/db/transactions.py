"""Transactions: one function, run whole on a connection; returning commits, raising rolls back."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable

from app.adapters.db.connection import Connection
from app.adapters.db.prepared import LOCKS, Row
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
_TAKE_TURN: Final = select(func.pg_advisory_xact_lock(_TURN).label("taken")).execution_options(**{LOCKS: True})


class Transactions(Protocol):
    """An open database. Returning commits, raising rolls back; nothing is awaited inside.

    Raises `DatabaseUnavailable` where trying again may help.
    """

    async def glance(self, statement: Executable, binds: Mapping[str, Any]) -> list[Row]:
        """Read a row by its key outside of a transaction: what costs least."""
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


_PASSING_STATES: Final = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that say nothing about the statement: connection, rollback, resources, locks, operator."""
_PASSING_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def telling_what_passes() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for what may go better in a while: no connection, a lock not had, a deadlock."""
    try:
        yield
    except OSError as problem:
        raise DatabaseUnavailable(type(problem).__name__) from problem
    except (DBAPIError, sqlite3.Error, asyncpg.PostgresError) as problem:
        origin = problem.orig if isinstance(problem, DBAPIError) else problem
        state = str(getattr(origin, "sqlstate", None) or "")
        code = getattr(origin, "sqlite_errorcode", 0) & 0xFF  # without the extension
        broke = isinstance(problem, DBAPIError) and problem.connection_invalidated
        if state.startswith(_PASSING_STATES) or code in _PASSING_CODES or broke:
            raise DatabaseUnavailable(f"{state or code}") from problem
        raise


def await_turn(connection: Connection) -> None:
    """Wait, before anything else of a transaction that changes many rows, until no other such transaction runs.

    Expiry, the rotation of data keys and the deletion of a tenant meet the same rows in different orders, and would
    each hold what the other waits for. On SQLite whoever writes is alone anyway.
    """
    if connection.kind == "postgresql":
        connection.execute(_TAKE_TURN)
