"""The pool of PostgreSQL: what is given back is whole, and no place is lost."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from app.adapters.db.connection import Connection
from app.adapters.db.engine import open_engine
from app.adapters.db.pool import Pool
from app.adapters.db.tables import spent_values
from tests.support.database import opened
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

ROW = {"tenant_id": "t", "kind": "c_nonce", "digest": b"d" * 32, "expires_at": 1}


@pytest_asyncio.fixture
async def url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A migrated database."""
    database = await postgres_server.take_migrated()
    yield database
    await postgres_server.give_back(database)


@pytest_asyncio.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    """A pool of one place."""
    made = Pool(size=1, dsn=url)
    yield made
    await made.close()


async def backend(pool: Pool) -> int:
    async with asyncio.timeout(5), pool.connection() as connection:
        process: int = await connection.fetchval("SELECT pg_backend_pid()")
        return process


async def test_a_connection_is_used_again_and_waited_for(pool: Pool) -> None:
    first = await backend(pool)
    assert await asyncio.gather(*(backend(pool) for _ in range(5))) == [first] * 5


async def test_one_that_somebody_stopped_waiting_for_is_not_used_again(pool: Pool) -> None:
    first = await backend(pool)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), pool.connection() as connection:
            await connection.execute("SELECT pg_sleep(10)")
    assert await backend(pool) != first


async def test_one_that_is_left_in_a_transaction_is_not_used_again(pool: Pool) -> None:
    first = await backend(pool)
    async with pool.connection() as connection:
        await connection.execute("BEGIN")
    assert await backend(pool) != first


async def test_one_whose_statement_failed_is(pool: Pool) -> None:
    first = await backend(pool)
    with pytest.raises(asyncpg.PostgresError):
        async with pool.connection() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await backend(pool) == first


async def test_one_that_the_server_ended_is_made_anew(pool: Pool, url: str) -> None:
    first = await backend(pool)
    other = await asyncpg.connect(url)
    await other.execute(f"SELECT pg_terminate_backend({first})")
    await other.close()
    async with asyncio.timeout(5):
        while not pool._idle[0].is_closed():
            await asyncio.sleep(0.01)
    assert await backend(pool) != first


async def test_who_gives_up_waiting_costs_no_place(pool: Pool) -> None:
    async with pool.connection():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), pool.connection():
                pass
    await backend(pool)


async def test_connecting_in_vain_costs_no_place(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(size=1, dsn=url)

    async def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg, "connect", refused)
        with pytest.raises(ConnectionRefusedError):
            await backend(pool)
    await backend(pool)
    await pool.close()


async def test_what_is_given_back_to_a_closed_pool_is_closed(url: str) -> None:
    pool = Pool(size=2, dsn=url)
    await backend(pool)
    async with pool.connection() as connection:
        await pool.close()
        assert await connection.fetchval("SELECT 1") == 1
    assert connection.is_closed()
    with pytest.raises(OSError, match="closed"):
        await backend(pool)


@pytest.mark.parametrize(
    ("password", "query"),
    [("Qx7/secret+1=", ""), ("a?b", ""), ("a#b", ""), ("a[b", ""), ("x", "?ssl=disable"), ("x", "?command_timeout=5"),
     ("x", "?prepared_statement_cache_size=0"), ("x", "?sslmode=disable")],
)  # fmt: skip
async def test_urls_are_read_as_everywhere_else(url: str, password: str, query: str) -> None:
    """The test's server asks for no password."""
    address = url.partition("@")[2]
    transactions = await open_engine(f"postgresql://postgres:{password}@{address}{query}")
    assert await transactions.glance(select(spent_values), {}) == []
    await transactions.close()


async def test_a_failed_statement_that_is_passed_over_is_not_committed(url: str) -> None:
    def passes_over(connection: Connection) -> None:
        connection.execute(insert(spent_values), ROW)
        with pytest.raises(REFUSED_BY_DATABASE):
            connection.execute(insert(spent_values), ROW)

    async with opened(url) as database:
        with pytest.raises(RuntimeError, match="passed over"):
            await database.transactions.write(passes_over)
        assert await database.transactions.glance(select(spent_values), {}) == []
