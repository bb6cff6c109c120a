"""A transaction of the repositories on PostgreSQL that stays open while others work."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from app.adapters.db.postgres import PostgresConnection, postgres_url

Run = Callable[[Callable[[PostgresConnection], Any]], Awaitable[Any]]


@asynccontextmanager
async def held_transaction(url: str) -> AsyncIterator[Run]:
    """Give what runs work in the transaction, piece by piece; it commits at the end."""
    engine = create_async_engine(postgres_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as pooled:
        raw = (await pooled.get_raw_connection()).driver_connection
        assert raw is not None
        connection = PostgresConnection(raw)

        def piece(work: Callable[[PostgresConnection], Any]) -> Any:
            result = work(connection)
            connection.settle()
            return result

        yield lambda work: greenlet_spawn(piece, work)
        await greenlet_spawn(connection.commit)
    await engine.dispose()
