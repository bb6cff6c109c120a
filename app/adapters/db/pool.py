"""Open connections to PostgreSQL: so many at most, the one given back last taken first.

asyncpg's own pool starts a task for every connection it takes back, SQLAlchemy's keeps a book of each: more than what
most transactions do (docs/benchmark.md).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

_LEAVE: Final = 2.0
"""Seconds a server gets to say goodbye."""


class Pool:
    """Connections to one database, made with the arguments of `asyncpg.connect`."""

    def __init__(self, *, size: int, **arguments: Any) -> None:
        self._arguments = arguments
        self._idle: list[asyncpg.Connection] = []
        self._places = asyncio.Semaphore(size)
        self._is_open = True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection that works; it waits for a place where all are taken. Raises OSError once it is closed.

        None that broke is kept, nor one that was left in the middle: the server undoes a transaction that was open,
        and a statement that still runs once it notices.
        """
        async with self._places:
            if not self._is_open:
                raise ConnectionError("the pool is closed")
            connection = self._take() or await self._connect()
            try:
                yield connection
            except Exception:
                raise
            except BaseException:
                # Nobody waits any more: out of patience, or the service stops.
                connection.terminate()
                raise
            finally:
                self._give_back(connection)

    async def close(self) -> None:
        """Close the connections that nobody has; the others are closed when they are given back."""
        self._is_open = False
        while connection := self._take():
            with suppress(OSError, asyncpg.PostgresError):
                await connection.close(timeout=_LEAVE)

    def _take(self) -> asyncpg.Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():  # as it is where the server hung up meanwhile
                return connection
        return None

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            return
        if not self._is_open or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(**self._arguments)
        try:
            # Statements bring JSON as text (`prepared.py`).
            await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=json.loads)
        except BaseException:
            connection.terminate()
            raise
        return connection
