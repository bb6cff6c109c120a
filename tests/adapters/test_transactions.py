"""A transaction is one function run whole: returning commits, raising rolls back."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable, column, func, insert, literal, select, text

from app.adapters.db.connection import Connection, Executed
from app.adapters.db.engine import sqlite_file
from app.adapters.db.postgres import postgres_url
from app.adapters.db.sqlite import SqliteConnection
from app.adapters.db.tables import spent_values
from app.ports import DatabaseUnavailable
from app.storage import TenantStore
from tests.support.database import OpenedDatabase, opened
from tests.support.postgres import PostgresServer
from tests.support.records import NO_ROW

ROW = {"tenant_id": "t", "kind": "c_nonce", "digest": b"d" * 32, "expires_at": 1}


ALL = select(spent_values)
REFUSED = (sqlite3.Error, asyncpg.PostgresError)


def count(connection: Connection) -> int:
    return len(connection.execute(ALL).rows)


async def test_raising_leaves_nothing(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def work(store: TenantStore) -> None:
        store.spent.spend("c_nonce", "value", expires_at=1, otherwise=NO_ROW)
        raise RuntimeError("after the write")

    with pytest.raises(RuntimeError, match="after the write"):
        await database.write(tenant, work)
    assert await database.transactions.write(count) == 0


async def test_a_failed_statement_leaves_nothing_and_the_next_transaction_works(database: OpenedDatabase) -> None:
    def twice(connection: Connection) -> None:
        connection.execute(insert(spent_values), ROW)
        connection.execute(insert(spent_values), ROW)

    with pytest.raises(REFUSED):
        await database.transactions.write(twice)
    assert await database.transactions.write(count) == 0


async def test_returning_commits_for_everybody(database: OpenedDatabase) -> None:
    def once(connection: Connection) -> None:
        connection.execute(insert(spent_values), ROW)

    await database.transactions.write(once)
    assert await database.transactions.read(count) == 1
    async with opened(database.url) as other:
        assert await other.transactions.read(count) == 1


async def test_a_read_cannot_write(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    refused = pytest.raises((sqlite3.OperationalError, RuntimeError), match=r"readonly|only reads")
    with refused:
        await database.read(tenant, lambda store: store.spent.spend("c_nonce", "value", expires_at=1, otherwise=NO_ROW))
    with refused:
        await database.transactions.read(lambda connection: connection.execute(insert(spent_values), ROW))
    assert await database.transactions.write(count) == 0


async def test_a_glance_sees_the_last_commit_and_cannot_write_on_sqlite(database: OpenedDatabase) -> None:
    assert await database.transactions.glance(ALL, {}) == []
    await database.transactions.write(lambda connection: connection.execute(insert(spent_values), ROW))
    assert len(await database.transactions.glance(ALL, {})) == 1
    if database.url.startswith("sqlite"):
        with pytest.raises(REFUSED):
            await database.transactions.glance(insert(spent_values), ROW)


async def test_a_glance_that_would_wait_is_taken_by_the_thread_that_may(
    sqlite_database: OpenedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    execute = SqliteConnection.execute

    def busy_here(self: SqliteConnection, statement: Executable, binds: Any) -> Executed:
        threads.append(threading.get_ident())
        if len(threads) == 1:
            problem = sqlite3.OperationalError("database is locked")
            problem.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise problem
        return execute(self, statement, binds)

    monkeypatch.setattr(SqliteConnection, "execute", busy_here)
    assert await sqlite_database.transactions.glance(ALL, {}) == []
    assert threads[0] == threading.get_ident() != threads[1]


async def test_sqlite_writers_wait_for_each_other(sqlite_database: OpenedDatabase) -> None:
    """Ten connections read a number and write the next one: with a plain BEGIN, most would fail or be lost."""

    def add(connection: Connection) -> None:
        found = connection.execute(select(func.max(spent_values.c.expires_at).label("highest"))).first
        highest = found.highest or 0 if found else 0
        connection.execute(insert(spent_values), ROW | {"digest": highest.to_bytes(32), "expires_at": highest + 1})

    async with contextlib.AsyncExitStack() as stack:
        others = [await stack.enter_async_context(opened(sqlite_database.url)) for _ in range(10)]
        await asyncio.gather(*(other.transactions.write(add) for other in others))
    assert await sqlite_database.transactions.write(count) == 10


async def test_sqlite_runs_a_transaction_whole_in_one_other_thread(sqlite_database: OpenedDatabase) -> None:
    def two_statements(connection: Connection) -> set[int]:
        first = threading.get_ident()
        connection.execute(select(literal(1).label("one")))
        return {first, threading.get_ident()}

    threads = [await sqlite_database.transactions.write(two_statements) for _ in range(2)]
    assert threads[0] == threads[1]
    assert len(threads[0]) == 1
    assert threading.get_ident() not in threads[0]


async def test_sqlite_settings(sqlite_database: OpenedDatabase) -> None:
    def settings(connection: Connection) -> dict[str, object]:
        names = ["journal_mode", "foreign_keys", "busy_timeout", "synchronous"]
        of_name = {name: text(f"PRAGMA {name}").columns(column("value")) for name in names}
        return {name: connection.execute(statement).rows[0].value for name, statement in of_name.items()}

    expected = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 1}
    assert await sqlite_database.transactions.write(settings) == expected
    assert await sqlite_database.transactions.read(settings) == expected


async def test_a_cancelled_request_does_not_leave_a_transaction_open(database: OpenedDatabase) -> None:
    def once(connection: Connection) -> None:
        connection.execute(insert(spent_values), ROW)

    task = asyncio.create_task(database.transactions.write(once))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await database.transactions.write(count) in {0, 1}


def test_urls() -> None:
    assert str(sqlite_file("sqlite:///var/v.db")) == "var/v.db"
    assert str(sqlite_file("sqlite:////var/v.db")) == "/var/v.db"
    assert sqlite_file("postgresql://user:pw@host/db") is None
    url = postgres_url("postgresql://user:p%40w@host:5433/db?sslmode=require")
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://user:p%40w@host:5433/db?ssl=require"
    for refused in ["sqlite://", "sqlite:///:memory:", "mysql://host/db"]:
        with pytest.raises(ValueError, match="database URL"):
            sqlite_file(refused)


async def test_a_lock_that_is_not_had_in_time_is_no_fault_of_the_statement(
    database: OpenedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("sqlite", "postgres"):
        monkeypatch.setattr(f"app.adapters.db.{kind}.LOCK_TIMEOUT", 100)
    inside, done = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.execute(insert(spent_values), ROW)
        inside.set()
        done.wait(10)

    async with opened(database.url) as other:
        with ThreadPoolExecutor(1) as thread:
            # In a thread and loop of its own: on PostgreSQL `hold` would otherwise keep this loop from going on.
            holding = thread.submit(asyncio.run, _hold(database.url, hold))
            try:
                while not inside.is_set():
                    await asyncio.sleep(0.01)
                with pytest.raises(DatabaseUnavailable):
                    await other.transactions.write(lambda connection: connection.execute(insert(spent_values), ROW))
            finally:
                done.set()
            holding.result()
    assert await database.transactions.write(count) == 1


@pytest.mark.postgres
async def test_postgresql_is_waited_for_as_long_as_told(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(connection: Connection) -> None:
        connection.execute(select(func.pg_sleep(0.3).label("slept")))

    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        with pytest.raises(DatabaseUnavailable, match="Timeout"):
            await database.transactions.write(late, patience=0.1)
        await database.transactions.write(late, patience=2)
        await database.platform.transact(lambda _: None)
        monkeypatch.setattr("app.adapters.db.platform._PATIENCE", 0.1)
        with pytest.raises(DatabaseUnavailable, match="Timeout"):
            await database.platform.transact(lambda store: late(store._connection))  # type: ignore[attr-defined]  # SQL
    await postgres_server.give_back(url)


async def _hold(url: str, work: Callable[[Connection], None]) -> None:
    async with opened(url) as database:
        await database.transactions.write(work)
