"""Sessions and browser flows, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from app.adapters.db.tables import sessions
from app.interaction.machine import Status
from app.protocol.digest import digest
from app.records import Session
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.records import NOW


async def test_a_session_is_found_as_it_was_stored(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.session()
    await database.write(tenant, lambda store: store.sessions.create(stored))
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored
    assert await database.read(tenant, lambda store: store.sessions.by_request_uri(digest("request uri"))) == stored
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-2")) is None
    assert await database.read(tenant, lambda store: store.sessions.by_request_uri(digest("other"))) is None


async def test_a_session_of_nothing_but_what_must_be_there(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.session(
        redirect_uri=None,
        scope=None,
        state=None,
        issuer_state_digest=None,
        code_challenge=None,
        code_challenge_method=None,
        authorization_details=None,
        interaction_types_supported=[],
        dpop_jkt=None,
        request_uri_digest=None,
        request_uri_expires_at=None,
        presentation_data=None,
        completed_steps={},
    )
    another = records.session(session_id="session-2", request_uri_digest=None, request_uri_expires_at=None)
    for one in (stored, another):
        await database.write(tenant, lambda store, one=one: store.sessions.create(one))  # type: ignore[misc]  # a default in a lambda
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored


def advance(judged: Session, *, now: int = NOW, step_index: int = 1, status: Status = Status.PENDING) -> Any:
    return lambda store: store.sessions.advance(
        judged, status=status, step_index=step_index, completed_steps={"confirm": {"by": "erika"}}, now=now
    )


async def test_a_session_moves_on_once(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    judged = records.session()
    await database.write(tenant, lambda store: store.sessions.create(judged))
    assert await database.write(tenant, advance(judged)) is True
    assert await database.write(tenant, advance(judged)) is False
    moved = await database.read(tenant, lambda store: store.sessions.by_id("session-1"))
    assert moved == records.session(step_index=1, completed_steps={"confirm": {"by": "erika"}})


@pytest.mark.parametrize(
    ("judged", "now"),
    [
        (records.session(status=Status.WEB_AUTH_COMPLETED), NOW),
        (records.session(step_index=1), NOW),
        (records.session(), NOW + 900),
        (records.session(session_id="session-2"), NOW),
    ],
    ids=["status", "step index", "expiry", "session"],
)
async def test_a_session_that_is_not_as_judged_stays(database: OpenedDatabase, judged: Session, now: int) -> None:
    tenant = await database.make_tenant()
    stored = records.session()
    await database.write(tenant, lambda store: store.sessions.create(stored))
    assert await database.write(tenant, advance(judged, now=now, status=Status.FAILED)) is False
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored


async def test_of_concurrent_moves_one_wins(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    judged = records.session()
    await database.write(tenant, lambda store: store.sessions.create(judged))
    moved = await asyncio.gather(*(database.write(tenant, advance(judged)) for _ in range(3)))
    assert sorted(moved) == [False, False, True]


@pytest.mark.parametrize(
    "bad",
    [
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"dpop_jkt": "+" * 43},
        {"instance_jkt": "a" * 42},
        {"request_uri_expires_at": None},
        {"expires_at": NOW},
    ],
    ids=str,
)
async def test_the_database_refuses_impossible_sessions(database: OpenedDatabase, bad: dict[str, Any]) -> None:
    tenant = await database.make_tenant()
    with pytest.raises(IntegrityError):
        await database.write(tenant, lambda store: store.sessions.create(records.session(**bad)))


async def test_the_database_knows_the_status_words(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    for word in Status:
        change = update(sessions).values(status=word.value)
        await database.sql(lambda connection, change=change: connection.execute(change))  # type: ignore[misc]  # a default in a lambda
    unknown = update(sessions).values(status="done")
    with pytest.raises(IntegrityError):
        await database.sql(lambda connection: connection.execute(unknown))


async def test_a_flow_is_found_by_its_cookie_and_moves_on_once(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.flow()

    def create(store: Any) -> None:
        store.sessions.create(records.session())
        store.browser_flows.create(stored)

    await database.write(tenant, create)
    assert await database.read(tenant, lambda store: store.browser_flows.by_cookie(digest("cookie"))) == stored
    assert await database.read(tenant, lambda store: store.browser_flows.by_cookie(digest("other"))) is None

    def finish(store: Any) -> Any:
        return store.browser_flows.advance(stored, step_index=1, user_id="user-1", results={"confirm": {}})

    assert await database.write(tenant, finish) is True
    assert await database.write(tenant, finish) is False
    found = await database.read(tenant, lambda store: store.browser_flows.by_cookie(digest("cookie")))
    assert found == records.flow(step_index=1, user_id="user-1", results={"confirm": {}})


async def test_ending_forgets_every_flow_of_the_session_and_no_other(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def create(store: Any) -> None:
        store.sessions.create(records.session())
        store.sessions.create(records.session(session_id="session-2", request_uri_digest=digest("second")))
        for number, session_id in enumerate(["session-1", "session-1", "session-2"]):
            store.browser_flows.create(
                records.flow(flow_id=f"flow-{number}", session_id=session_id, cookie_digest=digest(str(number)))
            )

    await database.write(tenant, create)
    await database.write(tenant, lambda store: store.browser_flows.end_all("session-1"))
    left = [await database.read(tenant, lambda s, n=n: s.browser_flows.by_cookie(digest(str(n)))) for n in range(3)]  # type: ignore[misc]  # a default in a lambda
    assert [flow and flow.flow_id for flow in left] == [None, None, "flow-2"]


async def test_a_flow_belongs_to_a_session_of_the_same_tenant(database: OpenedDatabase) -> None:
    tenant, other = await database.make_tenant("a"), await database.make_tenant("b")
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    with pytest.raises(IntegrityError):
        await database.write(other, lambda store: store.browser_flows.create(records.flow()))
