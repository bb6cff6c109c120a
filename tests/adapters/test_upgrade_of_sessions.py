"""Sessions of an older version, their browsers and codes outlive the upgrade; what ended sessions held does not."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, delete, func, select, text

from app.adapters.db import migrate
from app.adapters.db.engine import sqlite_file
from app.adapters.db.tables import browser_flows, sessions
from app.interaction.evidence import Evidence
from app.interaction.machine import Status
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import TenantHead
from tests.support import records
from tests.support.database import OpenedDatabase, opened, sqlite_url
from tests.support.records import NOW

RUNNING = records.session(
    state=None, authorization_details=None, presentation_data=None, completed_steps=Evidence(), issuer_state_digest=None
)
_INSERT = text(
    """INSERT INTO sessions (tenant_id, session_id, dialect, client_id, redirect_uri, scope, code_challenge,
           code_challenge_method, interaction_types_supported, dpop_jkt, status, request_uri_digest,
           request_uri_expires_at, plan, step_index, completed_steps, created_at, expires_at, updated_at)
       VALUES (:tenant_id, :session_id, 'web', 'wallet', 'https://wallet.example/cb', 'pid', :code_challenge, 'S256',
           '["redirect_to_web"]', :dpop_jkt, :status, :request_uri_digest, :request_uri_expires_at, :plan, 0,
           :completed_steps, :created_at, :expires_at, 7)"""
)


def to_first_schema(connection: Connection) -> None:
    config = migrate._config()
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


async def fill(database: OpenedDatabase) -> TenantHead:
    """Store what version 0001 stored: a running and a finished session, a browser on its way, a code."""
    tenant = await database.make_tenant()

    vault = await database.transactions.read(lambda connection: database.vaults.of(connection, tenant.tenant_id))

    def insert(connection: Connection) -> None:
        for session_id, status in [("session-1", "pending"), ("session-2", "code_issued")]:
            values = {
                "tenant_id": tenant.tenant_id,
                "session_id": session_id,
                "code_challenge": RUNNING.code_challenge,
                "dpop_jkt": RUNNING.dpop_jkt,
                "status": status,
                "request_uri_digest": digest("request uri" if session_id == "session-1" else "another"),
                "request_uri_expires_at": RUNNING.request_uri_expires_at,
                "plan": vault.seal("sessions", "plan", session_id, PLAN_OF_0001),
                "completed_steps": vault.seal("sessions", "completed_steps", f"{session_id}/0", b"{}"),
                "created_at": NOW,
                "expires_at": NOW + 900,
            }
            connection.execute(_INSERT, values)

    def rest(store: Any) -> None:
        store.browser_flows.create(records.flow())
        store.codes.create(records.code())

    await database.sql(insert)
    await database.write(tenant, rest)
    return tenant


PLAN_OF_0001 = b'{"steps":[{"type":"login","id":"login"},{"type":"confirm","id":"confirm"}],"credentials":[]}'


async def test_what_runs_goes_on_and_what_has_ended_is_erased(empty_database_url: str) -> None:
    url = empty_database_url
    await migrate._transact(url, to_first_schema)
    async with opened(url) as database:
        tenant = await fill(database)
    assert await migrate.upgrade(url) == "0001"
    assert await migrate.check(url) == []
    async with opened(url) as database:
        assert (
            await database.read(tenant, lambda store: store.sessions.by_request_uri(digest("request uri"))) == RUNNING
        )
        assert await database.read(tenant, lambda store: store.browser_flows.by_cookie(digest("cookie"))) is not None
        assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == records.code()
        ended = await database.read(tenant, lambda store: store.sessions.by_id("session-2"))
        assert ended is not None
        assert (ended.status, ended.completed_steps) == (Status.CODE_ISSUED, Evidence())
        kept = select(sessions.c.session_id, sessions.c.completed_steps.is_not(None), sessions.c.updated_at)
        rows = await database.sql(lambda connection: connection.execute(kept.order_by("session_id")).all())
        assert [tuple(row[:2]) for row in rows] == [("session-1", True), ("session-2", False)]
        assert rows[0].updated_at == 7  # untouched, and kept by the database from now on
        assert await database.write(tenant, lambda store: store.sessions.count_attempt(RUNNING)) == 1
        now_kept = await database.sql(lambda connection: connection.execute(kept.order_by("session_id")).first())
        assert now_kept is not None
        assert now_kept.updated_at > 7
        await database.sql(lambda connection: connection.execute(delete(sessions)))
        left = select(func.count()).select_from(browser_flows)
        assert await database.sql(lambda connection: connection.execute(left).scalar_one()) == 0


async def test_a_row_that_points_at_nothing_stops_the_upgrade(tmp_path: Any) -> None:
    url = await sqlite_url(tmp_path, migrated=False)
    await migrate._transact(url, to_first_schema)
    async with opened(url) as database:
        await fill(database)
    file = sqlite_file(url)
    assert file is not None
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM sessions")  # with foreign keys off, as sqlite3's default is
    with pytest.raises(Refusal):
        await migrate.upgrade(url)
    assert await migrate.current(url) == "0001"
