"""Making, opening and deleting tenants, their keys and documents, and expiry, on both databases."""

from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from app.adapters.db.expiry import MARGIN
from app.adapters.db.platform import SqlPlatform
from app.adapters.db.tables import (
    audit_events,
    authorization_codes,
    data_keys,
    document_revisions,
    metadata,
    sessions,
    tenants,
)
from app.adapters.db.vaults import Vaults
from app.adapters.key_maker import SoftwareKeyMaker
from app.adapters.vault import MasterKeys, SealBroken
from app.interaction.evidence import Evidence
from app.interaction.machine import Status
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import AuditEvent, TenantHead
from app.storage import PlatformStore
from tests.support import records
from tests.support.database import MASTER_KEY, PUBLIC_URL, OpenedDatabase, opened
from tests.support.records import NO_ROW, NOW


async def provide(database: OpenedDatabase, slug: str = "pid-provider", *, origin: str | None = None) -> TenantHead:
    """Make a tenant with document and keys."""
    tenant = await database.make_tenant(slug, origin=origin)
    maker = SoftwareKeyMaker(database.entropy)
    keys = [
        maker.access_token_key(now=NOW),
        *maker.development_credential_keys(common_name=slug, issuer=f"https://host.example/{slug}", now=NOW),
    ]

    def work(store: Any) -> None:
        store.documents.add(records.document(slug), now=NOW, fingerprint=store.documents.fingerprint(b"source"))
        for key in keys:
            store.signing_keys.add(key)

    await database.write(tenant, work)
    return tenant


async def test_tenants_are_listed_by_slug(database: OpenedDatabase) -> None:
    b, a = await database.make_tenant("b"), await database.make_tenant("a")
    assert await database.platform.transact(lambda store: store.tenants()) == [a, b]
    assert await database.platform.transact(lambda store: store.by_slug("a")) == a
    assert await database.platform.transact(lambda store: store.by_slug("c")) is None
    assert (a.status, a.revision, a.origin) == ("active", 0, None)
    assert a.tenant_id != b.tenant_id


async def test_slugs_and_origins_are_taken_once(database: OpenedDatabase) -> None:
    a = await database.make_tenant("a", origin="https://a.example")
    b = await database.make_tenant("b")
    for slug, origin in [("a", None), ("c", "https://a.example")]:
        with pytest.raises(Refusal):
            await database.make_tenant(slug, origin=origin)
    with pytest.raises(Refusal):
        await database.platform.transact(lambda store: store.set_origin(b.tenant_id, "https://a.example"))
    await database.platform.transact(lambda store: store.set_origin(a.tenant_id, None))
    await database.platform.transact(lambda store: store.set_origin(b.tenant_id, "https://a.example"))
    heads = await database.platform.transact(lambda store: store.tenants())
    assert [head.origin for head in heads] == [None, "https://a.example"]


async def test_documents_are_numbered_and_the_last_is_current(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    with pytest.raises(LookupError):
        await database.read(tenant, lambda store: store.documents.current())
    assert await database.read(tenant, lambda store: store.documents.current_fingerprint()) is None

    def add(name: str) -> Any:
        document = records.document(name)
        return lambda store: store.documents.add(
            document, now=NOW, fingerprint=store.documents.fingerprint(name.encode())
        )

    assert [await database.write(tenant, add(name)) for name in ("first", "second")] == [1, 2]
    number, document = await database.read(tenant, lambda store: store.documents.current())
    assert (number, document) == (2, records.document("second").without_users())
    fingerprint = await database.read(tenant, lambda store: store.documents.current_fingerprint())
    assert fingerprint == await database.read(tenant, lambda store: store.documents.fingerprint(b"second"))
    other = await database.make_tenant("b")
    assert fingerprint != await database.read(other, lambda store: store.documents.fingerprint(b"second"))


async def test_keys_are_listed_oldest_first_and_retired_once(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    newer = records.signing_key(key_id="a", created_at=NOW + 1, certificate_chain=[])
    older = records.signing_key(key_id="b")
    for key in (newer, older):
        await database.write(tenant, lambda store, key=key: store.signing_keys.add(key))  # type: ignore[misc]  # a default in a lambda
    assert await database.read(tenant, lambda store: store.signing_keys.all()) == [older, newer]
    assert await database.write(tenant, lambda store: store.signing_keys.retire("b", now=NOW + 2)) is True
    assert await database.write(tenant, lambda store: store.signing_keys.retire("b", now=NOW + 3)) is False
    retired = records.signing_key(key_id="b", retired_at=NOW + 2)
    assert await database.read(tenant, lambda store: store.signing_keys.all()) == [retired, newer]


async def test_an_active_tenant_opens_under_its_one_name(database: OpenedDatabase) -> None:
    await provide(database, "under-the-public-url")
    await provide(database, "own-origin", origin="https://own.example")
    tenancy = await database.tenancies.by_slug("under-the-public-url")
    assert tenancy is not None
    assert tenancy.issuer == f"{PUBLIC_URL}/under-the-public-url"
    assert tenancy.document == records.document("under-the-public-url").without_users()
    own = await database.tenancies.by_origin("https://own.example")
    assert own is not None
    assert (own.slug, own.issuer) == ("own-origin", "https://own.example")
    # One form per tenant: the other is not there (decisions: "One issuer").
    assert await database.tenancies.by_slug("own-origin") is None
    assert await database.tenancies.by_origin(PUBLIC_URL) is None
    assert await database.tenancies.by_slug("unknown") is None


async def test_a_tenant_without_a_document_does_not_open(database: OpenedDatabase) -> None:
    await database.make_tenant("empty")
    assert await database.tenancies.by_slug("empty") is None


@pytest.mark.rule("M-19")
async def test_a_suspended_tenant_does_not_open_though_it_did_before(database: OpenedDatabase) -> None:
    await provide(database)
    assert await database.tenancies.by_slug("pid-provider") is not None
    await database.sql(lambda connection: connection.execute(tenants.update().values(status="suspended")))
    assert await database.tenancies.by_slug("pid-provider") is None
    await database.sql(lambda connection: connection.execute(tenants.update().values(status="active")))
    assert await database.tenancies.by_slug("pid-provider") is not None


async def test_another_process_changes_document_and_keys_and_this_one_follows(database: OpenedDatabase) -> None:
    tenant = await provide(database)
    before = await database.tenancies.by_slug("pid-provider")
    again = await database.tenancies.by_slug("pid-provider")
    assert before is not None
    assert again is not None
    assert again.document is before.document
    assert again.keys is before.keys
    new_key = SoftwareKeyMaker(database.entropy).access_token_key(now=NOW + 1)
    async with opened(database.url, entropy=database.entropy) as other:
        await other.write(tenant, lambda store: store.documents.add(records.document("new"), now=NOW, fingerprint=b""))
        await other.write(tenant, lambda store: store.signing_keys.add(new_key))
    after = await database.tenancies.by_slug("pid-provider")
    assert after is not None
    assert after.document == records.document("new").without_users()
    assert after.keys.access_tokens.key_id == new_key.key_id
    assert after.keys.nonce_key == before.keys.nonce_key


async def test_a_data_key_added_by_another_process_is_used(database: OpenedDatabase) -> None:
    tenant = await provide(database)
    assert await database.tenancies.by_slug("pid-provider") is not None
    async with opened(database.url, entropy=database.entropy) as other:
        await other.transactions.write(
            lambda connection: other.vaults.add_data_key(connection, tenant.tenant_id, now=NOW)
        )
        await other.write(tenant, lambda store: store.sessions.create(records.session()))
    assert await database.tenancies.by_slug("pid-provider") is not None
    assert await database.read(tenant, lambda store: store.sessions.by_id("session-1")) == records.session()


async def test_a_new_master_key_takes_over_while_the_service_runs(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    new = b"a new master key of 32 octets..."

    def platform(*keys: bytes) -> SqlPlatform:
        vaults = Vaults(MasterKeys(keys, database.entropy), database.entropy)
        return SqlPlatform(database.transactions, vaults, database.entropy)

    def session(store: PlatformStore) -> Any:
        return store.tenant(tenant.tenant_id).sessions.by_id("session-1")

    both = platform(new, MASTER_KEY)
    assert [await both.transact(lambda store: store.rewrap_data_keys(limit=1)) for _ in range(2)] == [1, 0]
    assert await platform(new).transact(session) == records.session()
    with pytest.raises(SealBroken):
        await platform(MASTER_KEY).transact(session)


@pytest.mark.rule("M-11", "M-04")
async def test_two_tenants_have_no_key_in_common(database: OpenedDatabase) -> None:
    for slug in ("a", "b"):
        await provide(database, slug)
    for _ in range(3):
        a, b = await database.tenancies.by_slug("a"), await database.tenancies.by_slug("b")
        assert a is not None
        assert b is not None
        assert a.keys.nonce_key != b.keys.nonce_key
        assert not a.keys.access_token_keys.keys() & b.keys.access_token_keys.keys()
        assert not set(a.keys.credentials.certificate_chain) & set(b.keys.credentials.certificate_chain)


async def test_deleting_destroys_keys_and_rows_and_keeps_the_slug(database: OpenedDatabase) -> None:
    tenant = await provide(database, origin="https://own.example")
    other = await provide(database, "other")

    def fill(store: Any) -> None:
        store.sessions.create(records.session())
        store.browser_flows.create(records.flow())
        store.repeatable_answers.keep(records.answer())
        store.grants.create(records.grant())
        store.codes.create(records.code())
        store.grants.create_access_token(records.access_token())
        store.grants.record_issuance(records.issuance())
        store.users.replace_all([records.user()])
        store.users.count_login_attempt("erika", now=NOW, limit=5, window=900)
        store.spent.spend("c_nonce", "value", expires_at=NOW, otherwise=NO_ROW)

    for head in (tenant, other):
        await database.write(head, fill)

    def rows(head: TenantHead) -> Any:
        return lambda connection: {
            table.name
            for table in metadata.sorted_tables
            if connection.execute(
                select(func.count()).select_from(table).where(table.c.tenant_id == head.tenant_id)
            ).scalar_one()
        }

    before = await database.sql(rows(other))
    assert before == set(metadata.tables) - {"audit_events"}
    await database.platform.transact(lambda store: store.delete(tenant.tenant_id, now=NOW))
    assert await database.sql(rows(tenant)) == {"tenants"}
    assert await database.sql(rows(other)) == before
    assert await database.tenancies.by_origin("https://own.example") is None
    assert [head.slug for head in await database.platform.transact(lambda store: store.tenants())] == ["other"]
    with pytest.raises(Refusal) as refused:
        await database.read(tenant, lambda store: store.sessions.by_id("session-1"))
    assert refused.value.code == "not_found"
    with pytest.raises(Refusal):
        await database.make_tenant("pid-provider")
    await database.make_tenant("takes-the-origin", origin="https://own.example")


async def test_a_tenant_that_is_deleted_while_it_is_opened_is_not_found(database: OpenedDatabase) -> None:
    """Between one statement and the next, where its row said that it was there."""
    await provide(database)
    await database.sql(lambda connection: connection.execute(document_revisions.delete()))
    with pytest.raises(Refusal) as refused:
        await database.tenancies.by_slug("pid-provider")
    assert refused.value.code == "not_found"


async def test_a_tenant_that_lost_its_data_keys_is_no_deleted_one(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    database.vaults.forget(tenant.tenant_id)
    await database.sql(lambda connection: connection.execute(data_keys.delete()))
    with pytest.raises(SealBroken):
        await database.read(tenant, lambda store: store.sessions.by_id("session-1"))


@pytest.mark.rule("M-19")
async def test_what_was_written_behind_a_deletion_goes_with_the_next_run_of_the_job(database: OpenedDatabase) -> None:
    """By requests that were under way, in processes that do not know yet."""
    tenant, other = await database.make_tenant(), await database.make_tenant("other")

    def write(store: Any) -> None:
        store.sessions.create(records.session())
        store.codes.create(records.code())
        store.audit.append(AuditEvent(event_id="event-1", occurred_at=NOW, kind="code_issued", subject="session-1"))

    def left(connection: Connection) -> set[tuple[str, str]]:
        return {
            (row.tenant_id, table.name)
            for table in (sessions, authorization_codes, audit_events)
            for row in connection.execute(select(table.c.tenant_id))
        }

    async with opened(database.url, entropy=database.entropy) as late:
        await late.read(tenant, lambda store: store.sessions.by_id("session-1"))
        await database.platform.transact(lambda store: store.delete(tenant.tenant_id, now=NOW))
        for head in (tenant, other):
            await late.write(head, write)
    before = await database.sql(left)
    assert len(before) == 6
    assert await database.platform.transact(lambda store: store.delete_expired(now=NOW + 1, limit=100)) == 3
    assert await database.sql(left) == {(owner, table) for owner, table in before if owner == other.tenant_id}


async def test_what_has_expired_is_deleted_and_nothing_else(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()

    def fill(store: Any) -> None:
        store.sessions.create(records.session())
        store.browser_flows.create(records.flow())
        store.codes.create(records.code())
        store.codes.create(records.code(code_digest=digest("unused"), code_id="code-2"))
        store.codes.spend(records.code(), grant_id="grant-1", now=NOW, otherwise=NO_ROW)
        store.grants.create(records.grant(expires_at=NOW + 2000))
        store.grants.create_access_token(records.access_token())
        store.grants.record_issuance(records.issuance())
        store.spent.spend("c_nonce", "value", expires_at=NOW + 60, otherwise=NO_ROW)
        store.users.count_login_attempt("erika", now=NOW, limit=1, window=60)

    await database.write(tenant, fill)

    async def expire(after: int) -> int:
        now = NOW + after + MARGIN
        await database.platform.transact(lambda store: store.end_timed_out_sessions(now=now, limit=100))
        return await database.platform.transact(lambda store: store.delete_expired(now=NOW + after + MARGIN, limit=100))

    async def found() -> list[bool]:
        return await database.read(
            tenant,
            lambda store: [
                one is not None
                for one in (
                    store.sessions.by_id("session-1"),
                    store.browser_flows.by_cookie(digest("cookie")),
                    store.codes.by_digest(digest("unused")),
                    store.codes.by_digest(digest("code")),
                    store.grants.by_id("grant-1"),
                    store.grants.by_access_token("token-1"),
                )
            ],
        )

    assert await expire(59) == 0
    assert await expire(60) == 3  # the spent value, the login attempts, the unused code
    assert await found() == [True, True, False, True, True, True]
    # The session's row goes; the used code stays as long as its grant.
    await expire(901)
    assert await found() == [False, False, False, True, True, False]
    await expire(2001)
    assert await found() == [False] * 6
    assert await expire(10_000) == 0


async def test_a_session_is_ended_on_record_before_its_row_goes(database: OpenedDatabase) -> None:
    tenant = await database.make_tenant()
    await database.write(tenant, lambda store: store.sessions.create(records.session()))
    later = NOW + 10_000
    assert await database.platform.transact(lambda store: store.delete_expired(now=later, limit=10)) == 0
    ended = [
        await database.platform.transact(lambda store, n=n: store.end_timed_out_sessions(now=NOW + n, limit=10))  # type: ignore[misc]  # a default in a lambda
        for n in (899, 900, 901)
    ]
    assert ended == [0, 1, 0]
    found = await database.read(tenant, lambda store: store.sessions.by_id("session-1"))
    assert found == records.session(status=Status.EXPIRED, presentation_data=None, completed_steps=Evidence())
    recorded = select(audit_events.c.kind, audit_events.c.subject, audit_events.c.occurred_at)
    events = await database.sql(lambda connection: connection.execute(recorded).all())
    assert events == [("session_expired", "session-1", NOW + 900)]
    assert await database.platform.transact(lambda store: store.delete_expired(now=later, limit=10)) == 1


async def test_expiry_works_in_batches_and_for_every_tenant(database: OpenedDatabase) -> None:
    def spend_three(store: Any) -> None:
        for number in range(3):
            store.spent.spend("c_nonce", str(number), expires_at=NOW, otherwise=NO_ROW)

    for slug in ("a", "b"):
        tenant = await database.make_tenant(slug)
        await database.write(tenant, spend_three)
    deleted = [
        await database.platform.transact(lambda store: store.delete_expired(now=NOW + MARGIN + 1, limit=4))
        for _ in range(3)
    ]
    assert deleted == [4, 2, 0]
