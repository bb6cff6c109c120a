"""Sessions and browser flows, on both databases."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Executable, delete, select, text, update
from sqlalchemy.schema import AddConstraint, DropConstraint

from app.adapters.db.tables import sessions
from app.adapters.vault import SealBroken
from app.document.model import LoginStep
from app.interaction.evidence import Evidence
from app.interaction.machine import TERMINAL, Status
from app.interaction.plan import Plan
from app.protocol.digest import digest
from app.records import PresentationData, Session
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.records import NO_ROW, NOW


async def test_a_session_is_found_as_it_was_stored(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.session(auth_session_digest=digest("auth session"), attempts=3)
    await database.write(tenant, lambda store: store.sessions.create(stored))
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored
    assert await database.read(tenant, lambda store: store.sessions.by_request_uri(digest("request uri"))) == stored
    assert await database.read(tenant, lambda store: store.sessions.by_auth_session(digest("auth session"))) == stored
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-2")) is None
    assert await database.read(tenant, lambda store: store.sessions.by_request_uri(digest("other"))) is None
    assert await database.read(tenant, lambda store: store.sessions.by_auth_session(digest("request uri"))) is None


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
        completed_steps=Evidence(),
    )
    another = records.session(session_id="session-2", request_uri_digest=None, request_uri_expires_at=None)
    for one in (stored, another):
        await database.write(tenant, lambda store, one=one: store.sessions.create(one))  # type: ignore[misc]  # a default in a lambda
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored


MOVED = records.session(
    status=Status.PRESENTATION_RECEIVED,
    auth_session_digest=digest("next auth session"),
    request_uri_digest=digest("next request uri"),
    request_uri_expires_at=NOW + 120,
    presentation_data=PresentationData("next nonce"),
    step_index=1,
    completed_steps=Evidence(presented=[records.PRESENTED]),
)


def advance(judged: Session, moved: Session = MOVED, *, now: int = NOW) -> Any:
    return lambda store: store.sessions.advance(judged, moved, now=now, otherwise=NO_ROW)


@pytest.mark.parametrize("handle", [None, digest("auth session")], ids=["no handle", "a handle"])
async def test_a_session_moves_on_once(database: OpenedDatabase, handle: bytes | None) -> None:
    tenant = await database.make_tenant()
    judged = records.session(auth_session_digest=handle)
    await database.write(tenant, lambda store: store.sessions.create(judged))
    assert await database.writes(tenant, advance(judged)) is True
    assert await database.writes(tenant, advance(judged)) is False
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == MOVED


@pytest.mark.rule("B-19")
async def test_moving_on_leaves_what_a_session_began_with(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.session()
    await database.write(tenant, lambda store: store.sessions.create(stored))
    other = {
        "dialect": "iae",
        "client_id": "other",
        "scope": "more",
        "dpop_jkt": records.OTHER_JKT,
        "attempts": 0,
        "plan": Plan(steps=[LoginStep(id="other")], credentials=[]),
        "expires_at": NOW + 9000,
    }
    await database.write(tenant, lambda store: store.sessions.count_attempt(stored))
    assert await database.writes(tenant, advance(stored, msgspec.structs.replace(MOVED, **other))) is True
    found = await database.read(tenant, lambda store: store.sessions.by_id("session-1"))
    assert found == msgspec.structs.replace(MOVED, attempts=1)


@pytest.mark.rule("IA-53")
@pytest.mark.parametrize("status", [Status.CODE_ISSUED, Status.FAILED])
async def test_nothing_that_was_shown_is_kept_of_an_ended_session(database: OpenedDatabase, status: Status) -> None:
    tenant = await database.make_tenant()
    judged = records.session()
    await database.write(tenant, lambda store: store.sessions.create(judged))
    ended = records.session(status=status, presentation_data=None, completed_steps=Evidence())
    assert await database.writes(tenant, advance(judged, ended)) is True
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == ended
    row = await database.sql(lambda connection: connection.execute(select(sessions)).one())
    assert (row.completed_steps, row.presentation_data) == (None, None)


@pytest.mark.rule("M-13")
async def test_evidence_taken_from_a_running_session_is_noticed(database: OpenedDatabase) -> None:
    """An insider who sets `step_index` behind the steps has no evidence to put there, and none is not taken."""
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    take = update(sessions).values(completed_steps=None, presentation_data=None, step_index=2)
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.sql(lambda connection: connection.execute(take))
    async with unchecked_sessions(database):
        await database.sql(unchecked(take))
        with pytest.raises(SealBroken):
            await database.read(tenant, lambda store: store.sessions.by_id("session-1"))


@contextlib.asynccontextmanager
async def unchecked_sessions(database: OpenedDatabase) -> AsyncIterator[None]:
    """Let the database take what it would refuse; afterwards its schema is what it was, for the tests to come."""
    check = next(each for each in sessions.constraints if str(each.name).endswith("erased_when_ended"))

    def drop(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(DropConstraint(check))

    def restore(connection: Connection) -> None:
        connection.execute(delete(sessions))
        if connection.dialect.name == "postgresql":
            # By default the constraint would be left out of the table wherever the metadata is made from then on.
            connection.execute(AddConstraint(check, isolate_from_table=False))

    await database.sql(drop)
    try:
        yield
    finally:
        await database.sql(restore)


def unchecked(statement: Executable) -> Callable[[Connection], None]:
    """Execute a statement that no CHECK constraint of SQLite's refuses; those of PostgreSQL have to be dropped."""

    def work(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        connection.execute(statement)

    return work


NOT_AS_STORED = {
    "status": records.session(status=Status.WEB_AUTH_COMPLETED),
    "step index": records.session(step_index=1),
    "handle": records.session(auth_session_digest=digest("superseded")),
    "session": records.session(session_id="session-2"),
}


@pytest.mark.parametrize(
    ("judged", "now"),
    [*((judged, NOW) for judged in NOT_AS_STORED.values()), (records.session(), NOW + 900)],
    ids=[*NOT_AS_STORED, "expiry"],
)
async def test_a_session_that_is_not_as_judged_stays(database: OpenedDatabase, judged: Session, now: int) -> None:
    tenant = await database.make_tenant()
    stored = records.session()
    await database.write(tenant, lambda store: store.sessions.create(stored))
    assert await database.writes(tenant, advance(judged, now=now)) is False
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored


async def test_attempts_are_counted_one_by_one(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    judged = records.session(auth_session_digest=digest("auth session"))
    await database.write(tenant, lambda store: store.sessions.create(judged))
    counts = [database.write(tenant, lambda store: store.sessions.count_attempt(judged)) for _ in range(5)]
    assert sorted(await asyncio.gather(*counts)) == [1, 2, 3, 4, 5]  # type: ignore[type-var]  # none is None
    found = await database.read(tenant, lambda store: store.sessions.by_auth_session(digest("auth session")))
    assert found == msgspec.structs.replace(judged, attempts=5)


@pytest.mark.parametrize("judged", NOT_AS_STORED.values(), ids=NOT_AS_STORED)
async def test_no_attempt_is_counted_of_a_session_that_moved_on(database: OpenedDatabase, judged: Session) -> None:
    tenant = await database.make_tenant()
    stored = records.session()
    await database.write(tenant, lambda store: store.sessions.create(stored))
    assert await database.write(tenant, lambda store: store.sessions.count_attempt(judged)) is None
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == stored


async def test_of_concurrent_moves_one_wins(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    judged = records.session()
    await database.write(tenant, lambda store: store.sessions.create(judged))
    moved = await asyncio.gather(*(database.writes(tenant, advance(judged)) for _ in range(3)))
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
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(tenant, lambda store: store.sessions.create(records.session(**bad)))


async def test_the_database_knows_the_status_words(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    sealed = await database.sql(lambda connection: connection.execute(select(sessions.c.completed_steps)).scalar_one())
    for word in Status:
        change = update(sessions).values(
            status=word.value, completed_steps=None if word in TERMINAL else sealed, presentation_data=None
        )
        await database.sql(lambda connection, change=change: connection.execute(change))  # type: ignore[misc]  # a default in a lambda
    unknown = update(sessions).values(status="done")
    with pytest.raises(REFUSED_BY_DATABASE):
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
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(other, lambda store: store.browser_flows.create(records.flow()))
