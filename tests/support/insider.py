"""What somebody can do who has the database's password: statements past the service, on a connection of their own."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Final, TypeVar

import asyncpg
from sqlalchemy import Connection, NullPool
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from app.adapters.db.engine import sqlite_file
from app.adapters.db.postgres import postgres_url
from app.adapters.db.sqlite import configure_sqlite, sqlite_engine

T = TypeVar("T")

REFUSED_BY_DATABASE: Final = (IntegrityError, sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
"""What a constraint raises, past the service and in its repositories."""


async def as_insider(url: str, work: Callable[[Connection], T]) -> T:
    """Run `work` in a transaction on a database, and commit."""
    if (file := sqlite_file(url)) is not None:
        with closing(sqlite3.connect(file, isolation_level=None)) as raw:
            configure_sqlite(raw)
            with sqlite_engine(lambda: raw, begin="BEGIN IMMEDIATE").begin() as connection:
                return work(connection)
    engine = create_async_engine(postgres_url(url), poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(work)
