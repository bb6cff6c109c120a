"""Answers kept for wallets that did not receive them, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete

from app.adapters.db.tables import sessions
from app.protocol.digest import digest
from app.records import TenantHead
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.records import NOW

HANDLE = records.answer().handle_digest


async def keep(database: OpenedDatabase, **changes: Any) -> TenantHead:
    """Keep an answer in a tenant with two sessions."""
    tenant = await database.make_tenant()

    def work(store: Any) -> None:
        store.sessions.create(records.session())
        store.sessions.create(records.session(session_id="session-2", request_uri_digest=digest("second")))
        store.repeatable_answers.keep(records.answer(**changes))

    await database.write(tenant, work)
    return tenant


async def test_an_answer_is_found_as_it_was_kept_and_taken_once(database: OpenedDatabase) -> None:
    tenant = await keep(database)
    assert await database.read(tenant, lambda store: store.repeatable_answers.find(HANDLE)) == records.answer()
    assert await database.read(tenant, lambda store: store.repeatable_answers.find(digest("another"))) is None
    takes = [database.write(tenant, lambda store: store.repeatable_answers.take(records.answer())) for _ in range(3)]
    assert sorted(await asyncio.gather(*takes)) == [False, False, True]
    assert await database.read(tenant, lambda store: store.repeatable_answers.find(HANDLE)) is None


async def test_a_later_answer_replaces_the_sessions_earlier_one_and_no_others(database: OpenedDatabase) -> None:
    tenant = await keep(database)
    later = records.answer(handle_digest=digest("later"), sealed=b"later", expires_at=NOW + 60)
    others = records.answer(handle_digest=digest("other"), session_id="session-2")
    for answer in (others, later):
        await database.write(tenant, lambda store, answer=answer: store.repeatable_answers.keep(answer))  # type: ignore[misc]  # a default in a lambda

    def found(store: Any) -> list[Any]:
        return [store.repeatable_answers.find(one) for one in (HANDLE, later.handle_digest, others.handle_digest)]

    assert await database.read(tenant, found) == [None, later, others]


async def test_an_answer_goes_with_its_session(database: OpenedDatabase) -> None:
    tenant = await keep(database)
    await database.sql(lambda connection: connection.execute(delete(sessions)))
    assert await database.read(tenant, lambda store: store.repeatable_answers.find(HANDLE)) is None


async def test_an_answer_belongs_to_a_session_of_the_same_tenant(database: OpenedDatabase) -> None:
    await keep(database)
    other = await database.make_tenant("b")
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(other, lambda store: store.repeatable_answers.keep(records.answer()))
