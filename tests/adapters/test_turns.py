"""Work on many rows never waits for itself: expiry, rotation and the deletion of a tenant, on PostgreSQL.

Each would otherwise come to hold rows that another waits for; on SQLite whoever writes is alone.
"""

import asyncio
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.adapters.db.connection import Connection, Executed
from app.adapters.db.expiry import MARGIN
from app.adapters.db.platform import SqlPlatformStore
from app.adapters.db.postgres import postgres_url
from app.protocol.digest import digest
from app.storage import PlatformStore
from tests.support import records
from tests.support.database import OpenedDatabase, opened
from tests.support.postgres import PostgresServer
from tests.support.records import NO_ROW, NOW

LATER = NOW + 900 + MARGIN
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def fill(store: Any) -> None:
    for number in range(3):
        session_id, grant_id, one = f"session-{number}", f"grant-{number}", digest(str(number))
        store.sessions.create(records.session(session_id=session_id, request_uri_digest=one))
        store.browser_flows.create(records.flow(flow_id=f"f-{number}", session_id=session_id, cookie_digest=one))
        store.grants.create(records.grant(grant_id=grant_id))
        store.codes.create(records.code(code_digest=one, code_id=f"code-{number}"))
        store.codes.spend(records.code(code_digest=one), grant_id=grant_id, now=NOW, otherwise=NO_ROW)


def delete_tenant(store: PlatformStore, tenant_id: str) -> None:
    store.delete(tenant_id, now=NOW)


def delete_rows(store: PlatformStore, _: str) -> None:
    store.delete_expired(now=LATER, limit=100)


def reseal(table: str) -> "Work":
    def work(store: PlatformStore, tenant_id: str) -> None:
        values = store.tenant(tenant_id).sealed_values
        found = values.under_older_keys(limit=100)
        while more := values.under_older_keys(after=found[-1], limit=100):
            found += more
        # Backwards: the other meets the rows in whatever order it finds them.
        values.reseal([value for value in found if value.place[0] == table][::-1])

    return work


Work = Callable[[PlatformStore, str], None]


@pytest.mark.postgres
@pytest.mark.rule("N-12")
@pytest.mark.parametrize(
    ("first", "stops_behind", "second"),
    [
        # It has deleted the browsers, not yet the sessions; the other deletes sessions, and with them browsers.
        (delete_tenant, "DELETE FROM browser_flows", delete_rows),
        # It has deleted the codes, not yet the grants; the other deletes grants, and with them codes.
        (delete_tenant, "DELETE FROM authorization_codes", delete_rows),
        # It has changed the last row, and wants the first.
        (reseal("sessions"), "UPDATE sessions", delete_tenant),
        (reseal("grants"), "UPDATE grants", delete_rows),
    ],
    ids=["deletion, expired sessions", "deletion, expired grants", "rotation, deletion", "rotation, expired grants"],
)
async def test_neither_waits_for_the_other(
    postgres_server: PostgresServer, first: Work, stops_behind: str, second: Work
) -> None:
    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        tenant = await database.make_tenant()
        await database.write(tenant, fill)
        await database.platform.transact(lambda store: store.end_timed_out_sessions(now=LATER, limit=100))
        await database.platform.transact(lambda store: store.add_data_key(tenant.tenant_id, now=NOW))
        halfway, go_on = threading.Event(), threading.Event()
        stopped = asyncio.to_thread(
            asyncio.run, _stopping(database, tenant.tenant_id, first, stops_behind, halfway, go_on)
        )
        running = asyncio.create_task(stopped)
        await asyncio.to_thread(halfway.wait, 10)
        other = asyncio.create_task(database.platform.transact(lambda store: second(store, tenant.tenant_id)))
        engine = create_async_engine(postgres_url(url))
        async with engine.connect() as watching:
            while not (await watching.execute(_WAITING)).scalar_one():
                await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(running, other)
        await engine.dispose()
    await postgres_server.give_back(url)


async def _stopping(
    database: OpenedDatabase,
    tenant_id: str,
    work: Work,
    behind: str,
    halfway: threading.Event,
    go_on: threading.Event,
) -> None:
    """Run work in a transaction of its own that stops behind the first statement of a kind."""

    class Stopping:
        def __init__(self, connection: Connection) -> None:
            self.kind, self.execute_soon = connection.kind, connection.execute_soon
            self._connection = connection

        def execute(self, statement: Any, binds: Any = MappingProxyType({})) -> Executed:
            executed = self._connection.execute(statement, binds)
            if str(statement).startswith(behind) and not halfway.is_set():
                halfway.set()
                go_on.wait(10)
            return executed

    async with opened(database.url) as own:
        await own.transactions.write(
            lambda connection: work(SqlPlatformStore(Stopping(connection), own.vaults, own.entropy), tenant_id)
        )
