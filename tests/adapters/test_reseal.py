"""A tenant moves to a new data key: everything is resealed, nobody notices, whoever changes a value meanwhile wins."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, select

from app.adapters.db.tables import SEALED, audit_events, data_keys
from app.adapters.vault import SealBroken, key_number
from app.jobs.rotate import Rotation, rotate_data_key
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import Resealed, SealedValue, TenantHead
from tests.adapters.test_sealed_columns import OPENED_BY, SESSION, fill, put, value_of
from tests.support import records
from tests.support.database import OpenedDatabase, opened
from tests.support.records import NO_ROW, NOW
from tests.support.server import run_apart


async def rotate(
    database: OpenedDatabase, *, batch: int = 100, tell: Callable[[int], None] = lambda _: None
) -> Rotation:
    return await rotate_data_key(
        database.platform, database.database, database.clock, database.entropy, "pid-provider", tell=tell, batch=batch
    )


async def add_data_key(database: OpenedDatabase, tenant: TenantHead) -> int:
    return await database.platform.transact(lambda store: store.add_data_key(tenant.tenant_id, now=NOW))


def key_numbers(tenant: TenantHead) -> Callable[[Connection], dict[str, set[int]]]:
    """Return a look at which data keys a tenant's values are under."""

    def look(connection: Connection) -> dict[str, set[int]]:
        return {
            str(column): {
                key_number(bytes(value))
                for value in connection.execute(
                    select(column).where(column.table.c.tenant_id == tenant.tenant_id, column.is_not(None))
                ).scalars()
            }
            for column in SEALED
        }

    return look


def all_under_older_keys(store: Any) -> list[SealedValue]:
    found: list[SealedValue] = []
    while more := store.sealed_values.under_older_keys(after=found[-1] if found else None, limit=100):
        found += more
    return found


def everything_under(*numbers: int) -> dict[str, set[int]]:
    return {str(column): set(numbers) for column in SEALED}


async def look_at_all(database: OpenedDatabase, tenant: TenantHead) -> dict[str, Any]:
    return {name: await database.read(tenant, look_up) for name, look_up in OPENED_BY.items()}


async def test_every_value_comes_under_the_new_key_and_opens_as_before(database: OpenedDatabase) -> None:
    tenant, other = await database.make_tenant(), await database.make_tenant("other")
    for head in (tenant, other):
        await database.write(head, fill)
    # Two rows of a table, and a value that is not there.
    await database.write(
        tenant, lambda store: store.grants.create(records.grant(grant_id="grant-2", authorization=None))
    )
    await database.write(tenant, lambda store: store.grants.create(records.grant(grant_id="grant-3")))
    before = await look_at_all(database, tenant)
    assert await database.sql(key_numbers(tenant)) == everything_under(1)

    told: list[int] = []
    rotation = await rotate(database, batch=1, tell=told.append)
    assert rotation == Rotation(added=2, resealed=len(SEALED) + 1, broken=0)
    assert told == [1] * rotation.resealed
    assert await database.sql(key_numbers(tenant)) == everything_under(2)
    assert await database.sql(key_numbers(other)) == everything_under(1)
    assert await look_at_all(database, tenant) == before
    assert (await database.read(tenant, lambda store: store.grants.by_id("grant-2"))) is not None
    events = await database.sql(lambda connection: connection.execute(select(audit_events)).all())
    assert [(event.tenant_id, event.kind, event.subject) for event in events] == [
        (tenant.tenant_id, "data_key_added", "2")
    ]

    assert await rotate(database) == Rotation(added=3, resealed=len(SEALED) + 1, broken=0)
    assert await look_at_all(database, tenant) == before


async def test_an_interrupted_rotation_is_finished_without_another_key(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)

    def stop_after_three(_: int) -> None:
        told.append(1)
        if len(told) == 3:
            raise InterruptedError

    told: list[int] = []
    with pytest.raises(InterruptedError):
        await rotate(database, batch=1, tell=stop_after_three)
    assert await rotate(database) == Rotation(added=None, resealed=len(SEALED) - 3, broken=0)
    assert await database.sql(key_numbers(tenant)) == everything_under(2)


async def test_there_must_be_such_a_tenant(database: OpenedDatabase) -> None:
    with pytest.raises(Refusal):
        await rotate(database)
    tenant = await database.make_tenant()
    await database.platform.transact(lambda store: store.delete(tenant.tenant_id, now=NOW))
    with pytest.raises(Refusal):
        await rotate(database)
    with pytest.raises(Refusal):
        await add_data_key(database, tenant)
    assert await database.sql(lambda connection: connection.execute(select(data_keys)).all()) == []


async def test_who_changes_a_value_meanwhile_wins(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    await add_data_key(database, tenant)
    found = await database.read(tenant, all_under_older_keys)
    assert len(found) == len(SEALED)

    def change(store: Any) -> None:
        moved = msgspec.structs.replace(SESSION, step_index=1, presentation_data=None, completed_steps=records.EVIDENCE)
        store.sessions.advance(SESSION, moved, now=NOW, otherwise=NO_ROW)
        assert store.browser_flows.advance(records.flow(), step_index=1, user_id="u", results={"b": 2})
        store.codes.spend(records.code(), grant_id="grant-1", now=NOW, otherwise=NO_ROW)
        assert store.grants.revoke("grant-1", now=NOW)
        store.users.replace_all([])

    await database.write(tenant, change)
    resealed = await database.write(tenant, lambda store: store.sealed_values.reseal(found))
    assert resealed == Resealed(done=len(SEALED) - 6, broken=0)
    session = await database.read(tenant, lambda store: store.sessions.by_id("session-1"))
    assert session is not None
    assert (session.step_index, session.completed_steps, session.state) == (1, records.EVIDENCE, SESSION.state)
    flow = await database.read(tenant, lambda store: store.browser_flows.by_cookie(digest("cookie")))
    assert flow is not None
    assert flow.results == {"b": 2}
    grant = await database.read(tenant, lambda store: store.grants.by_id("grant-1"))
    assert grant is not None
    assert grant.authorization is None
    assert await database.read(tenant, lambda store: store.users.all()) == []


async def test_a_value_that_does_not_open_is_left_and_counted(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    person = next(column for column in SEALED if str(column) == "users.person")
    whole = await database.sql(value_of(person, tenant.tenant_id))
    altered = whole[:-1] + bytes([whole[-1] ^ 1])
    await database.sql(put(person, tenant.tenant_id, altered))
    assert await rotate(database) == Rotation(added=2, resealed=len(SEALED) - 1, broken=1)
    assert await database.sql(value_of(person, tenant.tenant_id)) == altered
    # It keeps nobody from the next rotation, and comes along once it is repaired.
    assert await rotate(database) == Rotation(added=3, resealed=len(SEALED) - 1, broken=1)
    await database.sql(put(person, tenant.tenant_id, whole))
    assert await rotate(database) == Rotation(added=None, resealed=1, broken=0)


async def test_a_process_that_knows_only_the_older_key_opens_values_of_the_newer(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    async with opened(database.url, entropy=database.entropy) as other:
        before = await look_at_all(other, tenant)
        await rotate(database)
        assert await look_at_all(other, tenant) == before
        # And from then on it seals with the newer one.
        await other.write(tenant, lambda store: store.grants.create(records.grant(grant_id="grant-2")))
    assert await database.sql(key_numbers(tenant)) == everything_under(2)


async def test_a_transaction_under_way_sees_the_rotation_through(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)

    async def rotate_elsewhere() -> None:
        async with opened(database.url) as other:
            await rotate(other)

    def work(store: Any) -> None:
        assert store.sessions.by_id("session-1") == SESSION
        run_apart(rotate_elsewhere())
        assert store.sessions.by_id("session-1") == SESSION
        assert store.users.by_id("user-1") is not None

    await database.read(tenant, work)
    assert await database.sql(key_numbers(tenant)) == everything_under(2)


async def test_what_a_late_transaction_seals_with_the_older_key_is_found(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    async with opened(database.url, entropy=database.entropy) as late:
        assert await late.read(tenant, lambda store: store.users.all())
        await rotate(database)
        # It has not read the tenant's row since, as a request would.
        await late.write(tenant, lambda store: store.grants.create(records.grant(grant_id="grant-2")))
    assert (await database.sql(key_numbers(tenant)))["grants.authorization"] == {1, 2}
    assert await rotate(database) == Rotation(added=None, resealed=1, broken=0)


async def test_an_older_ciphertext_put_back_opens_as_long_as_its_key_is_there(database: OpenedDatabase) -> None:
    """What `app/DECISIONS.md` says of older data keys: they are kept, so this is not noticed."""
    tenant = await database.make_tenant()
    await database.write(tenant, fill)
    person = next(column for column in SEALED if str(column) == "users.person")
    await rotate(database)
    under_2 = await database.sql(value_of(person, tenant.tenant_id))
    await rotate(database)
    await database.sql(put(person, tenant.tenant_id, under_2))
    people = await database.read(tenant, lambda store: store.users.all())
    assert len(people) == 1
    await database.sql(lambda connection: connection.execute(delete(data_keys).where(data_keys.c.key_number == 2)))
    async with opened(database.url) as fresh:
        with pytest.raises(SealBroken):
            await fresh.read(tenant, lambda store: store.users.all())
