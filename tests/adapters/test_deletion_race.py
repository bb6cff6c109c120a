"""A tenant is deleted while somebody else is applying a document to it: PostgreSQL, where two can write at once."""

import asyncio

import pytest
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.adapters.db.connection import Connection
from app.adapters.db.platform import SqlPlatformStore
from app.adapters.db.postgres import postgres_url
from app.adapters.db.tables import metadata
from tests.support import records
from tests.support.database import opened
from tests.support.documents import document
from tests.support.held import held_transaction
from tests.support.postgres import PostgresServer

NOW = 1_900_000_000
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.mark.postgres
@pytest.mark.rule("M-19")
async def test_nothing_of_an_apply_outlives_the_deletion_it_ran_into(postgres_server: PostgresServer) -> None:
    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        tenant = await database.make_tenant()
        engine = create_async_engine(postgres_url(url))

        def store(connection: Connection) -> SqlPlatformStore:
            return SqlPlatformStore(connection, database.vaults, database.entropy)

        def add_revision(connection: Connection) -> None:
            store(connection).tenant(tenant.tenant_id).documents.add(document(), now=NOW, fingerprint=bytes(32))

        def add_people(connection: Connection) -> None:
            store(connection).tenant(tenant.tenant_id).users.replace_all([records.user()])

        def rows_left(connection: SqlConnection) -> set[str]:
            return {
                table.name
                for table in metadata.sorted_tables
                if connection.execute(
                    select(func.count()).select_from(table).where(table.c.tenant_id == tenant.tenant_id)
                ).scalar_one()
            }

        async with engine.connect() as watching, held_transaction(url) as applying:
            await applying(add_revision)
            deleting = asyncio.create_task(
                database.platform.transact(lambda platform: platform.delete(tenant.tenant_id, now=NOW))
            )
            while not (await watching.execute(_WAITING)).scalar_one():
                await asyncio.sleep(0)
            await applying(add_people)
        await deleting
        await engine.dispose()
        assert await database.sql(rows_left) == {"tenants"}
    await postgres_server.give_back(url)
