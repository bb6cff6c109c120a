"""What is kept past its time: nothing personal, on both databases."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.adapters.db.expiry import MARGIN
from app.adapters.db.platform import SqlPlatformStore
from app.adapters.db.postgres import PostgresConnection, postgres_url
from app.adapters.db.tables import audit_events, authorization_codes, browser_flows, grants, sessions
from app.interaction.evidence import Evidence
from app.interaction.machine import TERMINAL, Status
from app.protocol.digest import digest
from app.records import TenantHead
from tests.support import records
from tests.support.database import OpenedDatabase, opened
from tests.support.held import held_transaction
from tests.support.postgres import PostgresServer
from tests.support.records import NO_ROW, NOW

RUNNING = sorted(set(Status) - TERMINAL)
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
END = NOW + 900
"""When the session of `records` ends."""


async def end_sessions(database: OpenedDatabase, *, now: int, limit: int = 100) -> int:
    return await database.platform.transact(lambda store: store.end_timed_out_sessions(now=now, limit=limit))


async def erase(database: OpenedDatabase, *, now: int, limit: int = 100) -> int:
    return await database.platform.transact(lambda store: store.erase_expired(now=now, limit=limit))


async def delete(database: OpenedDatabase, *, now: int, limit: int = 100) -> int:
    return await database.platform.transact(lambda store: store.delete_expired(now=now, limit=limit))


async def fill(database: OpenedDatabase, status: Status) -> TenantHead:
    """Store a session on its way in all its parts, and another that runs longer."""
    tenant = await database.make_tenant()

    def work(store: Any) -> None:
        store.sessions.create(records.session(status=status))
        store.browser_flows.create(records.flow())
        store.repeatable_answers.keep(records.answer(expires_at=END + 29))
        store.sessions.create(
            records.session(session_id="session-2", request_uri_digest=digest("second"), expires_at=END + 1)
        )
        store.browser_flows.create(
            records.flow(flow_id="flow-2", session_id="session-2", cookie_digest=digest("2"), expires_at=END + 1)
        )
        store.repeatable_answers.keep(
            records.answer(handle_digest=digest("2"), session_id="session-2", expires_at=END + 1)
        )

    await database.write(tenant, work)
    return tenant


def everything(store: Any) -> dict[str, Any]:
    return {
        "session": store.sessions.by_id("session-1"),
        "flow": store.browser_flows.by_cookie(digest("cookie")),
        "answer": store.repeatable_answers.find(records.answer().handle_digest),
        "other session": store.sessions.by_id("session-2"),
        "other flow": store.browser_flows.by_cookie(digest("2")),
        "other answer": store.repeatable_answers.find(digest("2")),
    }


@pytest.mark.rule("IA-53", "B-19")
@pytest.mark.parametrize("status", RUNNING)
async def test_with_its_time_everything_that_was_shown_in_a_session_goes(
    database: OpenedDatabase, status: Status
) -> None:
    """Of one that a crash left while its presentation was being judged as well."""
    tenant = await fill(database, status)
    kept = await database.read(tenant, everything)
    assert kept["session"].completed_steps == records.EVIDENCE
    assert (await end_sessions(database, now=END - 1), await erase(database, now=END - 1)) == (0, 0)
    assert await database.read(tenant, everything) == kept

    assert await end_sessions(database, now=END) == 1
    assert await erase(database, now=END) == 1  # the flow; the answer went with its session
    ended = records.session(status=Status.EXPIRED, presentation_data=None, completed_steps=Evidence())
    found = await database.read(tenant, everything)
    assert found == kept | {"session": ended, "flow": None, "answer": None}
    erased = select(sessions.c.completed_steps, sessions.c.presentation_data).where(sessions.c.status == "expired")
    assert await database.sql(lambda connection: connection.execute(erased).all()) == [(None, None)]

    # Nothing moves it any more, by whatever clock, and in the end its row goes.
    for judged, now in [(kept["session"], END - 1), (ended, END)]:

        def move(store: Any, judged: Any = judged, now: int = now) -> None:
            store.sessions.advance(judged, records.session(), now=now, otherwise=NO_ROW)

        assert await database.writes(tenant, move) is False
    assert await delete(database, now=END + MARGIN - 1) == 0
    assert await delete(database, now=END + MARGIN) == 1
    assert (await database.read(tenant, everything))["session"] is None


@pytest.mark.rule("IA-53")
async def test_claims_of_codes_and_grants_go_with_their_time_and_their_rows_later(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def work(store: Any) -> None:
        store.codes.create(records.code())
        store.codes.create(records.code(code_digest=digest("2"), code_id="code-2", expires_at=NOW + 61))
        store.grants.create(records.grant(expires_at=NOW + 60))
        store.grants.create(records.grant(grant_id="grant-2", expires_at=NOW + 61))

    def found(store: Any) -> list[Any]:
        by_code, by_grant = store.codes.by_digest, store.grants.by_id
        return [by_code(digest("code")), by_code(digest("2")), by_grant("grant-1"), by_grant("grant-2")]

    await database.write(tenant, work)
    before = await database.read(tenant, found)
    assert await erase(database, now=NOW + 59) == 0
    assert await database.read(tenant, found) == before
    assert [await erase(database, now=NOW + 60) for _ in range(2)] == [2, 0]
    replace = msgspec.structs.replace
    erased = [replace(one, authorization=None) if index % 2 == 0 else one for index, one in enumerate(before)]
    assert await database.read(tenant, found) == erased
    assert await delete(database, now=NOW + 59 + MARGIN) == 0
    assert await delete(database, now=NOW + 60 + MARGIN) == 2
    assert await database.read(tenant, found) == [None, before[1], None, before[3]]


async def test_an_answer_goes_with_its_own_time_in_a_session_that_runs_or_has_ended(database: OpenedDatabase) -> None:
    tenant = await fill(database, Status.PENDING)
    ended = records.session(status=Status.CODE_ISSUED, presentation_data=None, completed_steps=Evidence())
    await database.write(
        tenant, lambda store: store.sessions.advance(records.session(), ended, now=NOW, otherwise=NO_ROW)
    )
    await database.write(tenant, lambda store: store.repeatable_answers.keep(records.answer()))
    assert [await erase(database, now=NOW + later) for later in (29, 30)] == [0, 1]
    assert (await database.read(tenant, everything))["answer"] is None


@pytest.mark.parametrize("step", [end_sessions, erase, delete])
async def test_a_batch_is_bounded(database: OpenedDatabase, step: Callable[..., Any]) -> None:
    tenant = await database.make_tenant()

    def work(store: Any) -> None:
        for number in range(5):
            session_id, one = f"session-{number}", digest(str(number))
            store.sessions.create(records.session(session_id=session_id, request_uri_digest=one))
            store.browser_flows.create(records.flow(flow_id=f"f-{number}", session_id=session_id, cookie_digest=one))
            store.spent.spend("c_nonce", str(number), expires_at=NOW, otherwise=NO_ROW)

    await database.write(tenant, work)
    assert [await step(database, now=END + MARGIN, limit=2) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.rule("N-09")
async def test_who_moves_a_session_at_the_boundary_brings_nothing_back(database: OpenedDatabase) -> None:
    """A request judged a second before the end, against the end: whichever comes first."""
    tenant = await database.make_tenant()
    for number in range(20):
        judged = records.session(session_id=f"session-{number}", request_uri_digest=digest(str(number)))
        moved = msgspec.structs.replace(judged, step_index=1)

        def create(store: Any, judged: Any = judged) -> None:
            store.sessions.create(judged)

        def advance(store: Any, judged: Any = judged, moved: Any = moved) -> None:
            store.sessions.advance(judged, moved, now=END - 1, otherwise=NO_ROW)

        await database.write(tenant, create)
        await asyncio.gather(database.writes(tenant, advance), end_sessions(database, now=END))
    rows = await database.sql(lambda connection: connection.execute(select(sessions)).all())
    assert {(row.status, row.completed_steps, row.presentation_data) for row in rows} == {("expired", None, None)}
    recorded = select(audit_events.c.subject)
    subjects = await database.sql(lambda connection: connection.execute(recorded).scalars().all())
    assert sorted(subjects) == sorted(row.session_id for row in rows)


@pytest.mark.postgres
@pytest.mark.rule("N-09")
async def test_who_ends_a_session_while_its_time_is_being_called_has_ended_it(postgres_server: PostgresServer) -> None:
    """Where two write at once: the job chose the session, and waits for the request that is ending it."""
    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        tenant = await database.make_tenant()
        await database.write(tenant, lambda store: store.sessions.create(records.session()))
        ended = records.session(status=Status.CODE_ISSUED, presentation_data=None, completed_steps=Evidence())
        engine = create_async_engine(postgres_url(url))
        async with engine.connect() as watching:

            def end(connection: PostgresConnection) -> None:
                platform = SqlPlatformStore(connection, database.vaults, database.entropy)
                sessions_of_tenant = platform.tenant(tenant.tenant_id).sessions
                sessions_of_tenant.advance(records.session(), ended, now=END - 1, otherwise=NO_ROW)

            async with held_transaction(url) as requesting:
                await requesting(end)
                calling = asyncio.create_task(end_sessions(database, now=END))
                while not (await watching.execute(_WAITING)).scalar_one():
                    await asyncio.sleep(0)
        assert await calling == 0
        assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == ended
        assert await database.sql(lambda connection: connection.execute(select(audit_events)).all()) == []
        await engine.dispose()
    await postgres_server.give_back(url)


@pytest.mark.rule("N-09")
async def test_a_code_is_exchanged_or_erased_at_the_boundary_and_keeps_nothing(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    for number in range(20):
        judged = records.code(code_digest=digest(str(number)), code_id=f"code-{number}")

        def create(store: Any, judged: Any = judged) -> None:
            store.codes.create(judged)

        def exchange(store: Any, judged: Any = judged, grant_id: str = f"grant-{number}") -> None:
            store.codes.spend(judged, grant_id=grant_id, now=NOW + 59, otherwise=NO_ROW)
            store.grants.create(records.grant(grant_id=grant_id))

        await database.write(tenant, create)
        await asyncio.gather(database.writes(tenant, exchange), erase(database, now=NOW + 60))

    def left(connection: Connection) -> tuple[int, int, int]:
        kept = select(func.count()).where(authorization_codes.c.authorization.is_not(None))
        used = select(func.count()).where(authorization_codes.c.used_at.is_not(None))
        made = select(func.count()).where(grants.c.authorization.is_not(None))
        return tuple(connection.execute(one).scalar_one() for one in (kept, used, made))  # type: ignore[return-value]  # three of them

    kept, used, made = await database.sql(left)
    assert kept == 0
    assert used == made


async def test_several_run_the_same_work_at_once(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def work(store: Any) -> None:
        for number in range(60):
            session_id, one = f"session-{number}", digest(str(number))
            store.sessions.create(records.session(session_id=session_id, request_uri_digest=one))
            store.browser_flows.create(records.flow(flow_id=f"f-{number}", session_id=session_id, cookie_digest=one))

    async def run(step: Callable[..., Any]) -> int:
        total = 0
        while done := await step(database, now=END + MARGIN, limit=7):
            total += done
        return total

    await database.write(tenant, work)
    for step in (end_sessions, erase, delete):
        assert sum(await asyncio.gather(*(run(step) for _ in range(4)))) == 60
    count = select(func.count()).select_from(audit_events)
    assert await database.sql(lambda connection: connection.execute(count).scalar_one()) == 60
    left = select(func.count()).select_from(browser_flows)
    assert await database.sql(lambda connection: connection.execute(left).scalar_one()) == 0
