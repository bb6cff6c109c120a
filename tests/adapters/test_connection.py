"""Statements on either database: what waits for others is done in order, in the transaction, or not at all."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, column, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.util import await_only

from app.adapters.db.connection import Connection
from app.adapters.db.prepared import LOCKS, prepare
from app.adapters.db.tables import access_tokens, audit_events, grants, spent_values, users
from app.adapters.db.transactions import LOCK_TIMEOUT, await_turn
from app.ports import DatabaseUnavailable
from app.protocol.refusal import Refusal
from tests.support.database import OpenedDatabase, opened
from tests.support.held import held_transaction
from tests.support.insider import REFUSED_BY_DATABASE, as_insider
from tests.support.postgres import PostgresServer
from tests.support.records import NO_ROW

_ADD = insert(spent_values)
_ADD_UNLESS_THERE = {
    "sqlite": sqlite.insert(spent_values).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(spent_values).on_conflict_do_nothing(),
}
_ALL = select(spent_values.c.digest, spent_values.c.expires_at).order_by(spent_values.c.digest)
_PROLONG = (
    update(spent_values)
    .where(spent_values.c.digest == bindparam("of_digest"))
    .values(expires_at=spent_values.c.expires_at + bindparam("longer"))
)
_FORGET = delete(spent_values).where(spent_values.c.digest == bindparam("of_digest"))
_AUDIT = insert(audit_events)
_WAITING_FOR_A_LOCK = text(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
).columns(column("pid"))


class Missed(Exception):
    """What was to be changed is not there."""


def row(number: int) -> dict[str, Any]:
    return {"tenant_id": "t", "kind": "c_nonce", "digest": bytes([number]) * 32, "expires_at": number}


def event(number: int) -> dict[str, Any]:
    values = {"event_id": f"e-{number}", "occurred_at": number, "kind": "k", "subject": "s", "detail": {"n": number}}
    return {"tenant_id": "t", **values}


def spend_soon(connection: Connection, number: int) -> None:
    connection.execute_soon(_ADD_UNLESS_THERE[connection.kind], row(number), Missed)


def forget_the_first(connection: Connection) -> None:
    connection.execute(_FORGET, {"of_digest": bytes([1]) * 32})


def found(connection: Connection) -> list[tuple[int, int]]:
    return [(each.digest[0], each.expires_at) for each in connection.execute(_ALL).rows]


async def test_what_waits_is_there_for_the_next_statement_and_at_the_end(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> list[tuple[int, int]]:
        for number in range(1, 4):
            connection.execute_soon(_ADD, row(number))
        seen = found(connection)
        connection.execute_soon(_ADD, row(4))
        connection.execute_soon(_AUDIT, event(4))
        return seen

    assert await database.transactions.write(work) == [(1, 1), (2, 2), (3, 3)]
    assert await database.transactions.read(found) == [(1, 1), (2, 2), (3, 3), (4, 4)]


async def test_changes_of_one_table_are_done_in_their_order(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> int:
        connection.execute_soon(_ADD, row(1))
        connection.execute_soon(_PROLONG, {"of_digest": bytes([1]) * 32, "longer": 10}, Missed)
        connection.execute_soon(_PROLONG, {"of_digest": bytes([1]) * 32, "longer": 100}, Missed)
        connection.execute_soon(_ADD, row(2))
        return connection.execute(_PROLONG, {"of_digest": bytes([2]) * 32, "longer": 1000}).count

    assert await database.transactions.write(work) == 1
    assert await database.transactions.read(found) == [(1, 111), (2, 1002)]


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("behind", range(3))
async def test_a_change_that_misses_undoes_everything(database: OpenedDatabase, before: int, behind: int) -> None:
    await database.transactions.write(lambda connection: connection.execute(_ADD, row(9)))

    def work(connection: Connection) -> None:
        for number in range(before):
            connection.execute_soon(_ADD, row(number))
        spend_soon(connection, 9)
        for number in range(behind):
            connection.execute_soon(_AUDIT, event(number))

    with pytest.raises(Missed):
        await database.transactions.write(work)
    assert await database.transactions.read(found) == [(9, 9)]
    events = select(func.count().label("events")).select_from(audit_events)
    assert await database.transactions.read(lambda connection: connection.execute(events).rows[0].events) == 0


_REVOKE = update(grants).where(grants.c.grant_id == bindparam("of_grant")).values(revoked_at=1)
_TOKEN_OF_NO_GRANT = {"tenant_id": "t", "token_id": "t-1", "grant_id": "gone", "issued_at": 1, "expires_at": 2}


async def test_what_guards_a_row_speaks_before_a_foreign_key(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute_soon(_REVOKE, {"of_grant": "gone"}, Missed)
        connection.execute_soon(insert(access_tokens), _TOKEN_OF_NO_GRANT)

    with pytest.raises(Missed):
        await database.transactions.write(work)


@pytest.mark.postgres
async def test_a_guard_speaks_before_what_it_waits_with(postgres_server: PostgresServer) -> None:
    def work(connection: Connection) -> None:
        connection.execute_soon(insert(access_tokens), _TOKEN_OF_NO_GRANT)
        connection.execute_soon(_REVOKE, {"of_grant": "gone"}, Missed)

    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        with pytest.raises(Missed):
            await database.transactions.write(work)
    await postgres_server.give_back(url)


async def test_of_two_that_miss_the_first_is_told(database: OpenedDatabase) -> None:
    class Second(Exception): ...

    def work(connection: Connection) -> None:
        spend_soon(connection, 1)
        connection.execute_soon(_ADD_UNLESS_THERE[connection.kind], row(2), Second)

    await database.transactions.write(work)
    with pytest.raises(Missed):
        await database.transactions.write(work)


@pytest.mark.parametrize("spent", range(3))
async def test_of_several_guards_one_that_misses_undoes_the_others(database: OpenedDatabase, spent: int) -> None:
    await database.transactions.write(lambda connection: spend_soon(connection, spent))

    def work(connection: Connection) -> None:
        connection.execute(_ALL)
        for number in range(3):
            spend_soon(connection, number)

    with pytest.raises(Missed):
        await database.transactions.write(work)
    assert await database.transactions.read(found) == [(spent, spent)]


async def test_a_refusal_comes_behind_the_guards_that_wait(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> None:
        spend_soon(connection, 1)
        raise NO_ROW

    with pytest.raises(Refusal):
        await database.transactions.write(work)
    assert await database.transactions.read(found) == []
    await database.transactions.write(lambda connection: spend_soon(connection, 1))
    with pytest.raises(Missed):
        await database.transactions.write(work)


@pytest.mark.postgres
async def test_an_insert_that_cannot_depend_on_a_guard_is_refused(postgres_server: PostgresServer) -> None:
    copied = insert(spent_values).from_select(spent_values.columns.keys(), select(spent_values))

    def work(connection: Connection) -> None:
        spend_soon(connection, 1)
        connection.execute_soon(copied, {})

    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        with pytest.raises(ValueError, match="guard"):
            await database.transactions.write(work)
        assert await database.transactions.read(found) == []
    await postgres_server.give_back(url)


async def test_a_miss_that_was_passed_over_is_not_committed(database: OpenedDatabase) -> None:
    await database.transactions.write(lambda connection: spend_soon(connection, 1))

    def work(connection: Connection) -> None:
        with contextlib.suppress(Missed):
            spend_soon(connection, 1)
            found(connection)
        if connection.kind == "sqlite":
            raise Missed
        connection.execute(_ADD, row(2))

    with pytest.raises(Missed):
        await database.transactions.write(work)
    assert await database.transactions.read(found) == [(1, 1)]


async def test_what_goes_with_others_counts_its_own_rows(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> list[int]:
        connection.execute(_ADD, row(1))
        counts = []
        for number in (1, 2):
            connection.execute_soon(_AUDIT, event(number))
            counts.append(connection.execute(_ADD_UNLESS_THERE[connection.kind], row(number)).count)
        return counts

    assert await database.transactions.write(work) == [0, 1]


async def test_a_refused_change_is_refused_at_the_end_at_the_latest(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute_soon(_AUDIT, event(1))
        connection.execute_soon(_ADD, row(1))
        connection.execute_soon(_ADD, row(1))

    with pytest.raises(REFUSED_BY_DATABASE):
        await database.transactions.write(work)
    assert await database.transactions.read(found) == []


async def test_any_number_can_wait(database: OpenedDatabase) -> None:
    def work(connection: Connection) -> None:
        for number in range(200):
            spend_soon(connection, number)

    await database.transactions.write(work)
    assert len(await database.transactions.read(found)) == 200


async def test_values_come_back_as_they_went(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    detail = {"text": "é\u2028", "number": 1, "none": None}

    def work(connection: Connection) -> list[Any]:
        for number, active in enumerate([True, False]):
            person = {"user_id": str(number), "username_index": bytes([number]) * 32, "person": b"\0\xff"}
            flags = {"active": active, "has_demo_hint": not active}
            connection.execute(insert(users), {"tenant_id": tenant.tenant_id, **person, **flags})
        connection.execute(_AUDIT, event(1) | {"detail": detail})
        kept = select(users.c.active, users.c.person).order_by(users.c.user_id)
        return [*connection.execute(kept).rows, *connection.execute(select(audit_events.c.detail)).rows]

    kept = await database.transactions.write(work)
    assert kept == [(True, b"\0\xff"), (False, b"\0\xff"), (detail,)]
    assert kept[0].active is True


def test_a_list_of_values_cannot_be_prepared() -> None:
    with pytest.raises(ValueError, match="list"):
        prepare(sqlite.dialect(), select(users).where(users.c.user_id.in_(["a", "b"])), ())


@pytest.mark.parametrize(
    ("statement", "only_looks"),
    [
        (_ALL, True),
        (_ALL.with_for_update(), False),
        (_ALL.with_for_update(read=True), False),
        (_ALL.execution_options(**{LOCKS: True}), False),
        (_ADD, False),
        (_ADD.returning(spent_values.c.kind), False),
        (_PROLONG, False),
        (_PROLONG.returning(spent_values.c.kind), False),
        (select(delete(spent_values).returning(spent_values.c.kind).cte()), False),
        (text("UPDATE spent_values SET expires_at = 1 RETURNING kind").columns(spent_values.c.kind), False),
    ],
)
def test_what_only_looks_is_told_from_what_changes_or_locks(statement: Any, only_looks: bool) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there
    names = tuple(row(1)) if statement.is_insert else ()
    assert prepare(dialect, statement, names).only_looks is only_looks


@pytest.mark.postgres
async def test_the_first_miss_is_told_where_it_was_passed_over(postgres_server: PostgresServer) -> None:
    def spend_or(connection: Connection, number: int, code: str) -> None:
        connection.execute_soon(_ADD_UNLESS_THERE[connection.kind], row(number), lambda: Refusal(code, "Used."))

    def work(connection: Connection) -> None:
        spend_or(connection, 1, "first")
        with contextlib.suppress(Refusal):
            connection.execute(_ALL)
        spend_or(connection, 2, "second")

    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        await database.transactions.write(two_guards)
        with pytest.raises(Refusal) as told:
            await database.transactions.write(work)
    assert told.value.code == "first"
    await postgres_server.give_back(url)


def a_guard(connection: Connection) -> None:
    spend_soon(connection, 1)


def a_guard_and_a_refusal(connection: Connection) -> None:
    spend_soon(connection, 1)
    raise NO_ROW


@contextmanager
def ways_to_the_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Awaitable[Any]]]:
    """Collect what is awaited of PostgreSQL."""
    ways: list[Awaitable[Any]] = []

    def collecting(awaitable: Awaitable[Any]) -> Any:
        ways.append(awaitable)
        return await_only(awaitable)

    with monkeypatch.context() as patched:
        patched.setattr("app.adapters.db.postgres.await_only", collecting)
        yield ways


def five_that_wait(connection: Connection) -> None:
    for number in range(5):
        spend_soon(connection, number)


def a_guard_and_what_it_guards(connection: Connection) -> None:
    connection.execute_soon(_AUDIT, event(1))
    spend_soon(connection, 1)
    connection.execute_soon(_AUDIT, event(2))


def two_guards(connection: Connection) -> None:
    spend_soon(connection, 1)
    spend_soon(connection, 2)


def one_that_waits_and_a_change(connection: Connection) -> None:
    spend_soon(connection, 1)
    connection.execute(_AUDIT, event(1))


def one_that_waits_and_a_look_up(connection: Connection) -> None:
    spend_soon(connection, 1)
    connection.execute(_ALL)


def a_look_up_and_two_guards(connection: Connection) -> None:
    connection.execute(_ALL)
    two_guards(connection)


def look_ups(connection: Connection) -> None:
    for _ in range(2):
        connection.execute(_ALL)


def a_lock_and_a_look_up(connection: Connection) -> None:
    await_turn(connection)
    connection.execute(_ALL)


def more_than_go_together(connection: Connection) -> None:
    for number in range(17):
        connection.execute_soon(_AUDIT, event(number))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("work", "times"),
    [
        (look_ups, 2),
        (a_guard, 1),
        (a_guard_and_what_it_guards, 1),
        (two_guards, 1),
        (five_that_wait, 1),
        (a_look_up_and_two_guards, 2),
        # BEGIN and COMMIT besides
        (a_lock_and_a_look_up, 4),
        (one_that_waits_and_a_change, 3),
        (one_that_waits_and_a_look_up, 4),
        (more_than_go_together, 4),
    ],
)
async def test_postgresql_is_asked_once_for_what_can_wait(
    postgres_server: PostgresServer,
    work: Callable[[Connection], None],
    times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        with ways_to_the_server(monkeypatch) as ways:
            await database.transactions.write(work)
    assert len(ways) == times
    await postgres_server.give_back(url)


@pytest.mark.postgres
async def test_a_guard_that_missed_may_be_met_by_the_second_try(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody spent the value when all was to go as one statement, and it is free again in the transaction."""
    url = await postgres_server.take_migrated()
    asked = 0

    async with opened(url) as database, opened(url) as other:
        await other.transactions.write(lambda connection: spend_soon(connection, 2))
        free = delete(spent_values).where(spent_values.c.digest == bytes([2]) * 32)

        def freeing(awaitable: Awaitable[Any]) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                await_only(as_insider(url, lambda connection: connection.execute(free)))
            return await_only(awaitable)

        monkeypatch.setattr("app.adapters.db.postgres.await_only", freeing)
        await database.transactions.write(two_guards)
        monkeypatch.undo()
        assert await other.transactions.read(found) == [(1, 1), (2, 2)]
    await postgres_server.give_back(url)


@pytest.mark.postgres
async def test_another_error_than_a_miss_is_told_at_once(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(connection: Connection) -> None:
        spend_soon(connection, 1)
        connection.execute_soon(_ADD, row(2))

    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        await database.transactions.write(two_guards)
        await database.transactions.write(forget_the_first)
        with ways_to_the_server(monkeypatch) as ways, pytest.raises(asyncpg.UniqueViolationError):
            await database.transactions.write(work)
    assert len(ways) == 1
    await postgres_server.give_back(url)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("work", "times"),
    [
        (a_guard, 1),
        (a_guard_and_a_refusal, 3),
        # Undone, and once more between BEGIN and ROLLBACK.
        (two_guards, 4),
    ],
)
async def test_a_miss_costs_no_connection(
    postgres_server: PostgresServer,
    work: Callable[[Connection], None],
    times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = select(func.pg_backend_pid().label("process"))
    url = await postgres_server.take_migrated()
    async with opened(url) as database:
        await database.transactions.write(two_guards)
        [first] = await database.transactions.glance(backend, {})
        with ways_to_the_server(monkeypatch) as ways, pytest.raises(Missed):
            await database.transactions.write(work)
        assert len(ways) == times
        assert await database.transactions.glance(backend, {}) == [first]
    await postgres_server.give_back(url)


@pytest.mark.postgres
@pytest.mark.parametrize("work", [a_guard, two_guards])
async def test_what_nobody_waits_for_any_more_is_not_committed(
    postgres_server: PostgresServer, work: Callable[[Connection], None]
) -> None:
    """A statement that waits for a lock when the request's patience ends."""
    url = await postgres_server.take_migrated()
    async with opened(url) as database, held_transaction(url) as holding:
        await holding(lambda connection: connection.execute(_ADD, row(1)))
        with pytest.raises(DatabaseUnavailable):
            await database.transactions.write(work, patience=0.2)
        async with asyncio.timeout(LOCK_TIMEOUT / 1000 - 2):
            while await database.transactions.glance(_WAITING_FOR_A_LOCK, {}):
                await asyncio.sleep(0.05)
        await holding(forget_the_first)
    async with opened(url) as database:
        assert await database.transactions.read(found) == []
    await postgres_server.give_back(url)
