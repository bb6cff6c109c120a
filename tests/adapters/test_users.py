"""People, login attempts and registered wallets, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from app.adapters.db.tables import users
from app.protocol.refusal import Refusal
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.records import NOW


async def test_a_person_is_found_by_name_and_by_id(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    max_ = records.user(user_id="user-2", username="max", demo_hint=None, active=False, claims={})
    await database.write(tenant, lambda store: store.users.replace_all([max_, records.user()]))
    assert await database.read(tenant, lambda store: store.users.by_username("erika")) == records.user()
    assert await database.read(tenant, lambda store: store.users.by_id("user-2")) == max_
    assert await database.read(tenant, lambda store: store.users.by_username("nobody")) is None
    assert await database.read(tenant, lambda store: store.users.by_id("nobody")) is None
    assert await database.read(tenant, lambda store: store.users.all()) == [records.user(), max_]


async def test_names_are_compared_without_case_and_unicode_form(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(
        tenant, lambda store: store.users.replace_all([records.user(username="J\u00f6rg Stra\u00dfe")])
    )
    for name in ["J\u00f6rg Stra\u00dfe", "jo\u0308rg strasse", "J\u00d6RG STRASSE"]:
        assert await database.read(tenant, lambda store, name=name: store.users.by_username(name)) is not None  # type: ignore[misc]  # a default in a lambda
    with pytest.raises(Refusal):
        await database.write(
            tenant,
            lambda store: store.users.replace_all(
                [records.user(username="erika"), records.user(user_id="user-2", username="ERIKA")]
            ),
        )


async def test_replacing_keeps_ids_and_deletes_absent_people(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    max_ = records.user(user_id="user-2", username="max")
    await database.write(tenant, lambda store: store.users.replace_all([records.user(), max_]))
    changed = records.user(user_id="user-3", username="Erika", claims={"family_name": "Gabler"}, active=False)
    await database.write(tenant, lambda store: store.users.replace_all([changed]))
    found = await database.read(tenant, lambda store: store.users.by_username("erika"))
    assert found == records.user(username="Erika", claims={"family_name": "Gabler"}, active=False)
    assert await database.read(tenant, lambda store: store.users.by_username("max")) is None


async def test_hints_of_active_people_only(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    people = [
        records.user(),
        records.user(user_id="user-2", username="max", demo_hint="max / secret", active=False),
        records.user(user_id="user-3", username="moritz", demo_hint=None),
    ]
    await database.write(tenant, lambda store: store.users.replace_all(people))
    assert await database.read(tenant, lambda store: store.users.demo_hints()) == ["erika / mustermann"]


@pytest.mark.rule("M-16")
async def test_the_name_index_is_keyed_by_tenant(database: OpenedDatabase) -> None:
    for slug in ("a", "b"):
        tenant = await database.make_tenant(slug)
        await database.write(tenant, lambda store: store.users.replace_all([records.user()]))
    indexes = await database.sql(lambda connection: connection.execute(select(users.c.username_index)).scalars().all())
    assert len(set(indexes)) == 2


def attempt(name: str = "erika", now: int = NOW) -> Any:
    return lambda store: store.users.count_login_attempt(name, now=now, limit=3, window=900)


async def test_attempts_run_out_and_come_back_after_the_window(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    assert [await database.write(tenant, attempt(now=NOW + n)) for n in range(5)] == [True, True, True, False, False]
    assert await database.write(tenant, attempt("ERIKA")) is False
    assert await database.write(tenant, attempt("max")) is True
    assert await database.write(tenant, attempt(now=NOW + 899)) is False
    again = [await database.write(tenant, attempt(now=NOW + 900)) for _ in range(4)]
    assert again == [True, True, True, False]


async def test_success_forgets_the_attempts(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    for _ in range(3):
        await database.write(tenant, attempt())
    await database.write(tenant, lambda store: store.users.clear_login_attempts("Erika"))
    assert await database.write(tenant, attempt()) is True


async def test_concurrent_attempts_do_not_pass_the_limit(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    counted = await asyncio.gather(*(database.write(tenant, attempt()) for _ in range(8)))
    assert sum(counted) == 3
