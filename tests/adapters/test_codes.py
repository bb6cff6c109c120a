"""Authorization codes, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from app.adapters.db.tables import authorization_codes
from app.protocol.digest import digest
from app.records import AuthorizationCode
from app.storage import TenantStore
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.records import NO_ROW, NOW


def exchange(judged: AuthorizationCode, *, grant_id: str = "grant-1", now: int = NOW) -> Any:
    """Return the claim of the token endpoint: the code first, then its grant."""

    def work(store: TenantStore) -> None:
        store.codes.spend(judged, grant_id=grant_id, now=now, otherwise=NO_ROW)
        store.grants.create(records.grant(grant_id=grant_id))

    return work


@pytest.mark.parametrize("delivered", ["redirect", "json"])
async def test_a_code_is_found_as_it_was_stored(database: OpenedDatabase, delivered: str) -> None:
    tenant = await database.make_tenant()
    stored = records.code(delivered=delivered)
    await database.write(tenant, lambda store: store.codes.create(stored))
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == stored
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("other"))) is None


async def test_a_code_without_the_optional_members(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.code(
        redirect_uri=None,
        scope=None,
        code_challenge=None,
        code_challenge_method=None,
        dpop_jkt=None,
        user_id=None,
        diagnostics={},
    )
    await database.write(tenant, lambda store: store.codes.create(stored))
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == stored
    assert await database.writes(tenant, exchange(stored)) is True  # an absent key equals an absent key


async def test_a_code_is_spent_once_and_then_holds_no_claims(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    judged = records.code()
    await database.write(tenant, lambda store: store.codes.create(judged))
    assert await database.writes(tenant, exchange(judged)) is True
    assert await database.writes(tenant, exchange(judged, grant_id="grant-2")) is False
    spent = await database.read(tenant, lambda store: store.codes.by_digest(digest("code")))
    assert spent == records.code(authorization=None, used_at=NOW, grant_id="grant-1")


@pytest.mark.parametrize(
    ("judged", "now"),
    [
        (records.code(client_id="other"), NOW),
        (records.code(dpop_jkt=records.OTHER_JKT), NOW),
        (records.code(dpop_jkt=None), NOW),
        (records.code(), NOW + 60),
    ],
    ids=["client", "key", "no key", "expiry"],
)
async def test_a_code_that_is_not_as_judged_stays(
    database: OpenedDatabase, judged: AuthorizationCode, now: int
) -> None:
    tenant = await database.make_tenant()
    stored = records.code()
    await database.write(tenant, lambda store: store.codes.create(stored))
    assert await database.writes(tenant, exchange(judged, now=now)) is False
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == stored


@pytest.mark.parametrize("contestants", [2, 3])
async def test_of_concurrent_exchanges_one_wins(database: OpenedDatabase, contestants: int) -> None:
    tenant = await database.make_tenant()
    for number in range(20):
        judged = records.code(code_digest=digest(str(number)), code_id=f"code-{number}")
        await database.write(tenant, lambda store, code=judged: store.codes.create(code))  # type: ignore[misc]  # a default in a lambda
        tries = [exchange(judged, grant_id=f"grant-{number}-{one}") for one in range(contestants)]
        won = await asyncio.gather(*(database.writes(tenant, one) for one in tries))
        assert sum(won) == 1


async def test_a_spent_code_without_its_grant_is_not_committed(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    stored = records.code()
    await database.write(tenant, lambda store: store.codes.create(stored))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(
            tenant, lambda store: store.codes.spend(stored, grant_id="nothing", now=NOW, otherwise=NO_ROW)
        )
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == stored


@pytest.mark.parametrize(
    "bad",
    [
        {"expires_at": NOW},
        {"expires_at": NOW + 601},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "a" * 42},
        {"dpop_jkt": "a" * 42},
        {"dpop_jkt": "a" * 42 + "="},
        {"dpop_jkt": "a" * 42 + "é"},
        {"scope": ""},
        {"scope": 'pid "quoted"'},
        {"scope": "back\\slash"},
        {"scope": "line\nbreak"},
        {"scope": "ünicode"},
        {"scope": "del\x7f"},
        {"delivered": "post"},
        {"code_digest": b"short"},
        {"used_at": NOW},
        {"grant_id": "grant-1"},
    ],
    ids=str,
)
async def test_the_database_refuses_impossible_codes(database: OpenedDatabase, bad: dict[str, Any]) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.grants.create(records.grant()))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(tenant, lambda store: store.codes.create(records.code(**bad)))


async def test_every_scope_character_and_the_longest_life_are_stored(database: OpenedDatabase) -> None:
    # RFC 6749 §3.3
    allowed = "".join(map(chr, [0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F)])) + " pid"
    tenant = await database.make_tenant()
    stored = records.code(scope=allowed, expires_at=NOW + 600)
    await database.write(tenant, lambda store: store.codes.create(stored))
    assert await database.read(tenant, lambda store: store.codes.by_digest(digest("code"))) == stored


async def test_a_used_code_cannot_keep_its_claims(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.codes.create(records.code()))
    await database.write(tenant, lambda store: store.grants.create(records.grant()))
    keep = update(authorization_codes).values(used_at=NOW, grant_id="grant-1")
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.sql(lambda connection: connection.execute(keep))


async def test_the_database_keeps_updated_at(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.codes.create(records.code()))
    times = select(authorization_codes.c.updated_at)
    created = await database.sql(lambda connection: connection.execute(times).scalar_one())
    assert created > 1_700_000_000
    forge = text("UPDATE authorization_codes SET updated_at = 7, diagnostics = '{}'")
    await database.sql(lambda connection: connection.execute(forge))
    assert await database.sql(lambda connection: connection.execute(times).scalar_one()) >= created


async def test_a_code_digest_is_one_code(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.codes.create(records.code()))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(tenant, lambda store: store.codes.create(records.code(code_id="code-2")))


async def test_a_code_cannot_point_at_another_tenants_grant(database: OpenedDatabase) -> None:
    tenant, other = await database.make_tenant("a"), await database.make_tenant("b")
    await database.write(other, lambda store: store.grants.create(records.grant()))
    await database.write(tenant, lambda store: store.codes.create(records.code()))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(
            tenant, lambda store: store.codes.spend(records.code(), grant_id="grant-1", now=NOW, otherwise=NO_ROW)
        )
    row = {"tenant_id": tenant.tenant_id, "code_digest": digest("new")}
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.sql(lambda connection: connection.execute(insert(authorization_codes), row))
