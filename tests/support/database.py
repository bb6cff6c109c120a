"""An opened, migrated database for a test, on SQLite and on PostgreSQL: the fixture `database`, once for each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio
from msgspec import Struct
from sqlalchemy import Connection

from app.adapters.db import migrate
from app.adapters.db.engine import open_engine
from app.adapters.db.platform import SqlPlatform
from app.adapters.db.store import SqlDatabase
from app.adapters.db.tenancies import SqlTenancies
from app.adapters.db.transactions import Transactions
from app.adapters.db.vaults import Vaults
from app.adapters.vault import MasterKeys
from app.protocol.refusal import Refusal
from app.records import TenantHead
from app.storage import TenantStore
from tests.support.fakes import CountedEntropy, FixedClock
from tests.support.insider import as_insider
from tests.support.postgres import PostgresServer, start_or_skip

T = TypeVar("T")

MASTER_KEY = bytes(range(32))
PUBLIC_URL = "http://localhost:8000"
KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


class OpenedDatabase(Struct, frozen=True, kw_only=True):
    """A database of the service with everything that is made from it."""

    url: str
    transactions: Transactions
    vaults: Vaults
    clock: FixedClock
    entropy: CountedEntropy
    platform: SqlPlatform
    database: SqlDatabase
    tenancies: SqlTenancies

    async def make_tenant(self, slug: str = "pid-provider", *, origin: str | None = None) -> TenantHead:
        """Make a tenant without a document."""
        now = self.clock.now()
        return await self.platform.transact(lambda store: store.create(slug=slug, origin=origin, now=now))

    async def write(self, tenant: TenantHead, work: Callable[[TenantStore], T]) -> T:
        """Run `work` for a tenant and commit."""
        return await self.database.write(tenant.tenant_id, work)

    async def writes(self, tenant: TenantHead, work: Callable[[TenantStore], object]) -> bool:
        """Run `work` for a tenant and commit; whether it was not refused."""
        try:
            await self.write(tenant, work)
        except Refusal:
            return False
        return True

    async def read(self, tenant: TenantHead, work: Callable[[TenantStore], T]) -> T:
        """Run `work` for a tenant in a transaction that writes nothing."""
        return await self.database.read(tenant.tenant_id, work)

    async def sql(self, work: Callable[[Connection], T]) -> T:
        """Run `work` past the service and commit: what an insider with the database's password can do."""
        return await as_insider(self.url, work)


@contextlib.asynccontextmanager
async def opened(
    url: str, *, clock: FixedClock | None = None, entropy: CountedEntropy | None = None
) -> AsyncIterator[OpenedDatabase]:
    """Open a migrated database."""
    clock, entropy = clock or FixedClock(), entropy or CountedEntropy()
    transactions = await open_engine(url)
    vaults = Vaults(MasterKeys([MASTER_KEY], entropy), entropy)
    database = SqlDatabase(transactions, vaults)
    try:
        yield OpenedDatabase(
            url=url,
            transactions=transactions,
            vaults=vaults,
            clock=clock,
            entropy=entropy,
            platform=SqlPlatform(transactions, vaults, entropy),
            database=database,
            tenancies=SqlTenancies(
                transactions, vaults, database=database, clock=clock, entropy=entropy, public_url=PUBLIC_URL
            ),
        )
    finally:
        await transactions.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this test process."""
    server = start_or_skip()
    yield server
    # The session's event loop is still there, so this needs a thread of its own.
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, server.close()).result()


async def sqlite_url(folder: Path, *, migrated: bool = True) -> str:
    """Make a SQLite database in a folder and return its URL."""
    url = f"sqlite:///{folder / 'vestibule.db'}"
    if migrated and not _migrated:
        await migrate.upgrade(url)
        _migrated.append((folder / "vestibule.db").read_bytes())
    elif migrated:
        (folder / "vestibule.db").write_bytes(_migrated[0])
    return url


_migrated: list[bytes] = []
"""The file of a migrated SQLite database, once there is one."""


@contextlib.asynccontextmanager
async def _database_url(request: pytest.FixtureRequest, kind: str, *, migrated: bool) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield await sqlite_url(request.getfixturevalue("tmp_path"), migrated=migrated)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await (server.take_migrated() if migrated else server.create_database())
    yield url
    await (server.give_back(url) if migrated else server.drop_database(url))


@pytest_asyncio.fixture(params=KINDS)
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a migrated, empty database whose schema is left as it is, on SQLite and on PostgreSQL."""
    async with _database_url(request, request.param, migrated=True) as url:
        yield url


@pytest_asyncio.fixture(params=KINDS)
async def empty_database_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    async with _database_url(request, request.param, migrated=False) as url:
        yield url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[OpenedDatabase]:
    """An opened database with nothing in it, once on SQLite and once on PostgreSQL."""
    async with opened(database_url) as opened_database:
        yield opened_database


@pytest_asyncio.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[OpenedDatabase]:
    """An opened SQLite database with nothing in it, for what only SQLite has."""
    async with opened(await sqlite_url(tmp_path)) as opened_database:
        yield opened_database
