"""Grants, access tokens, issuances and spent values, on both databases."""

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from app.adapters.db.tables import audit_events, issuances, spent_values
from app.protocol.digest import digest
from app.records import AuditEvent, SpentKind
from app.storage import TenantStore
from tests.support import records
from tests.support.database import OpenedDatabase
from tests.support.insider import REFUSED_BY_DATABASE
from tests.support.records import NO_ROW, NOW


async def test_a_grant_and_what_hangs_on_it(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def create(store: Any) -> None:
        store.grants.create(records.grant())
        store.grants.create_access_token(records.access_token())
        store.grants.record_issuance(records.issuance())

    await database.write(tenant, create)
    assert await database.read(tenant, lambda store: store.grants.by_id("grant-1")) == records.grant()
    assert await database.read(tenant, lambda store: store.grants.by_access_token("token-1")) == records.grant()
    assert await database.read(tenant, lambda store: store.grants.by_id("grant-2")) is None
    assert await database.read(tenant, lambda store: store.grants.by_access_token("token-2")) is None
    count = select(func.count()).select_from(issuances)
    assert await database.sql(lambda connection: connection.execute(count).scalar_one()) == 1


async def test_revoking_works_once_and_erases_the_claims(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.grants.create(records.grant()))
    assert await database.write(tenant, lambda store: store.grants.revoke("grant-1", now=NOW + 1)) is True
    assert await database.write(tenant, lambda store: store.grants.revoke("grant-1", now=NOW + 2)) is False
    assert await database.write(tenant, lambda store: store.grants.revoke("grant-2", now=NOW)) is False
    found = await database.read(tenant, lambda store: store.grants.by_id("grant-1"))
    assert found == records.grant(authorization=None, revoked_at=NOW + 1)


def take(store: Any, now: int = NOW) -> None:
    store.grants.take_credential(records.grant(), now=now, otherwise=lambda: NO_ROW)


async def test_issuances_are_counted_by_grant_and_configuration(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def prepare(store: TenantStore) -> None:
        for grant_id in ("grant-1", "grant-2"):
            store.grants.create(records.grant(grant_id=grant_id))
        for number, (grant_id, name) in enumerate(
            [("grant-1", "pid"), ("grant-1", "pid"), ("grant-1", "b"), ("grant-2", "b")]
        ):
            store.grants.record_issuance(
                records.issuance(issuance_id=f"issuance-{number}", grant_id=grant_id, configuration_id=name)
            )

    await database.write(tenant, prepare)
    asked = [("grant-1", "pid"), ("grant-1", "b"), ("grant-2", "pid"), ("grant-2", "b"), ("grant-3", "b")]
    counted = await database.read(tenant, lambda store: [store.grants.issued(*names) for names in asked])
    assert counted == [2, 1, 0, 1, 0]


async def test_the_quota_is_kept_and_the_last_credential_erases_the_claims(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.grants.create(records.grant(credentials_allowed=2)))
    assert await database.writes(tenant, take) is True
    found = await database.read(tenant, lambda store: store.grants.by_id("grant-1"))
    assert found == records.grant(credentials_issued=1)
    assert await database.writes(tenant, take) is True
    assert await database.writes(tenant, take) is False
    found = await database.read(tenant, lambda store: store.grants.by_id("grant-1"))
    assert found == records.grant(credentials_issued=2, authorization=None)


async def test_concurrent_credentials_do_not_pass_the_quota(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.grants.create(records.grant(credentials_allowed=2)))
    taken = await asyncio.gather(*(database.writes(tenant, take) for _ in range(5)))
    assert sorted(taken) == [False, False, False, True, True]


async def test_no_credential_from_an_expired_or_revoked_grant(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.grants.create(records.grant()))
    assert await database.writes(tenant, lambda store: take(store, NOW + 300)) is False
    await database.write(tenant, lambda store: store.grants.revoke("grant-1", now=NOW))
    assert await database.writes(tenant, take) is False


@pytest.mark.parametrize(
    "bad",
    [{"credentials_issued": 3}, {"credentials_issued": -1}, {"dpop_jkt": "thumbprint"}],
    ids=str,
)
async def test_the_database_refuses_impossible_grants(database: OpenedDatabase, bad: dict[str, Any]) -> None:
    tenant = await database.make_tenant()
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(tenant, lambda store: store.grants.create(records.grant(**bad)))


async def test_tokens_and_issuances_need_a_grant_of_the_same_tenant(database: OpenedDatabase) -> None:
    tenant, other = await database.make_tenant("a"), await database.make_tenant("b")
    await database.write(tenant, lambda store: store.grants.create(records.grant()))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(other, lambda store: store.grants.create_access_token(records.access_token()))
    with pytest.raises(REFUSED_BY_DATABASE):
        await database.write(other, lambda store: store.grants.record_issuance(records.issuance()))


async def test_a_value_is_spent_once_of_its_kind(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    async def spend(kind: SpentKind, value: str) -> bool:
        return await database.writes(
            tenant, lambda store: store.spent.spend(kind, value, expires_at=NOW, otherwise=NO_ROW)
        )

    assert await spend("c_nonce", "value") is True
    assert await spend("c_nonce", "value") is False
    assert await spend("dpop_jti", "value") is True
    assert await spend("c_nonce", "another") is True
    rows = await database.sql(lambda connection: connection.execute(select(spent_values.c.digest)).scalars().all())
    assert set(rows) == {digest("value"), digest("another")}


@pytest.mark.rule("M-06")
async def test_two_tenants_spend_the_same_value(database: OpenedDatabase) -> None:
    for slug in ("a", "b"):
        tenant = await database.make_tenant(slug)
        assert await database.writes(
            tenant, lambda store: store.spent.spend("dpop_jti", "jti", expires_at=NOW, otherwise=NO_ROW)
        )


async def test_of_concurrent_spends_one_wins(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def spend(store: Any, number: int) -> None:
        store.spent.spend("c_nonce", str(number), expires_at=NOW, otherwise=NO_ROW)

    for number in range(20):
        spends = [database.writes(tenant, partial(spend, number=number)) for _ in range(3)]
        assert sorted(await asyncio.gather(*spends)) == [False, False, True]


async def test_a_value_spent_in_a_refused_transaction_is_not_spent(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def spend(store: Any) -> None:
        store.spent.spend("c_nonce", "value", expires_at=NOW, otherwise=NO_ROW)

    def refused(store: Any) -> None:
        spend(store)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(tenant, refused)
    assert await database.writes(tenant, spend) is True


async def test_an_audit_event_is_written(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    event = AuditEvent(
        event_id="e", occurred_at=NOW, kind="issued", subject="grant-1", detail={"number": 1, "to": None}
    )
    await database.write(tenant, lambda store: store.audit.append(event))
    row = await database.sql(lambda connection: connection.execute(select(audit_events)).one())
    assert row == (tenant.tenant_id, "e", NOW, "issued", "grant-1", {"number": 1, "to": None})
