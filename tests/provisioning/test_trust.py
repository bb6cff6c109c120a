"""Trust in another tenant: looked up when a document is applied, from what that tenant publishes."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import pytest
from cryptography import x509

from app.adapters.key_maker import SoftwareKeyMaker
from app.document.model import Issuer, TenantDocument, User
from app.document.presentation import ResolvedTenant, TenantTrust
from app.protocol.refusal import Refusal
from app.provisioning import delete_tenant, import_credential_key, tenant_of
from app.provisioning.apply import Applied, apply_documents
from app.provisioning.trust import in_order
from app.records import SigningKey
from app.storage import PlatformStore, TenantStore
from tests.provisioning.test_apply import PUBLIC_URL, FakePasswords, apply, audit_of, head_of
from tests.support.database import OpenedDatabase
from tests.support.documents import document, university

T = TypeVar("T")

PID, UNIVERSITY = document(), university()


def tenant(slug: str, *trusted: str) -> TenantDocument:
    """Return a document that trusts these tenants."""
    trust: dict[str, object] = {f"of-{other}": {"type": "tenant", "tenant": other} for other in trusted}
    return document({"tenant": {"slug": slug}, "trust": trust, "users": []})


async def apply_all(
    database: OpenedDatabase, documents: Sequence[TenantDocument], *, dry_run: bool = False
) -> list[Applied]:
    applying = apply_documents(
        database.platform,
        SoftwareKeyMaker(database.entropy),
        FakePasswords(),
        database.clock,
        database.entropy,
        documents,
        public_url=PUBLIC_URL,
        dry_run=dry_run,
    )
    return [applied async for applied in applying]


async def in_store(database: OpenedDatabase, slug: str, work: Callable[[TenantStore], T]) -> T:
    def run(store: PlatformStore) -> T:
        return work(store.tenant(tenant_of(store, slug).tenant_id))

    return await database.platform.transact(run)


async def looked_up(database: OpenedDatabase, slug: str = "university") -> dict[str, ResolvedTenant | None]:
    """Return what a tenant's stored document says of those it trusts."""
    _, stored = await in_store(database, slug, lambda store: store.documents.current())
    return {name: entry.resolved for name, entry in stored.trust.items() if isinstance(entry, TenantTrust)}


async def authority(database: OpenedDatabase, slug: str = "pid-provider") -> str:
    """Return the certificate of a tenant's development CA."""
    keys = await in_store(database, slug, lambda store: store.signing_keys.all())
    (found,) = [key for key in keys if key.purpose == "development_ca" and key.retired_at is None]
    return ssl.DER_cert_to_PEM_cert(found.certificate_chain[0])


async def import_key(database: OpenedDatabase, made: tuple[bytes, bytes], slug: str = "pid-provider") -> None:
    await import_credential_key(
        database.platform,
        SoftwareKeyMaker(database.entropy),
        database.clock,
        database.entropy,
        slug,
        private_key_pem=made[0],
        chain_pem=made[1],
    )


async def test_the_other_tenant_is_looked_up(database: OpenedDatabase) -> None:
    await apply(database, PID)
    await apply(database, UNIVERSITY)
    (resolved,) = (await looked_up(database)).values()
    assert resolved == ResolvedTenant(issuer=f"{PUBLIC_URL}/pid-provider", anchors=[await authority(database)])

    def credential_certificate(store: TenantStore) -> bytes:
        (key,) = [key for key in store.signing_keys.all() if key.purpose == "credential"]
        return key.certificate_chain[0]

    leaf = x509.load_der_x509_certificate(await in_store(database, "pid-provider", credential_certificate))
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(resolved.anchors[0].encode()))
    assert (await apply(database, UNIVERSITY)).unchanged


async def test_another_origin_or_authority_is_a_change(database: OpenedDatabase) -> None:
    await apply_all(database, [PID, UNIVERSITY])
    await apply(database, msgspec.structs.replace(PID, issuer=Issuer(origin="https://pid.example")))
    applied = await apply(database, UNIVERSITY)
    assert (applied.revision, applied.changes) == (2, ["change trust pid-provider"])
    (resolved,) = (await looked_up(database)).values()
    assert resolved is not None
    assert resolved.issuer == "https://pid.example"

    now = database.clock.now()
    new = SoftwareKeyMaker(database.entropy).development_credential_keys(
        common_name="PID", issuer="https://pid.example", now=now
    )
    await in_store(database, "pid-provider", lambda store: replace_credential_keys(store, new, now=now))
    assert not (await apply(database, UNIVERSITY, dry_run=True)).unchanged
    applied = await apply(database, UNIVERSITY)
    assert (applied.revision, applied.changes) == (3, ["change trust pid-provider"])
    (resolved,) = (await looked_up(database)).values()
    assert resolved is not None
    assert resolved.anchors == [ssl.DER_cert_to_PEM_cert(new[0].certificate_chain[0])]
    assert (await apply(database, UNIVERSITY)).unchanged


def replace_credential_keys(store: TenantStore, new: tuple[SigningKey, SigningKey], *, now: int) -> None:
    for key in store.signing_keys.all():
        if key.purpose != "access_token":
            store.signing_keys.retire(key.key_id, now=now)
    for key in new:
        store.signing_keys.add(key)


async def test_a_handwritten_look_up_is_not_believed(database: OpenedDatabase) -> None:
    """Validation refuses it; whoever comes without is not believed either."""
    await apply(database, PID)
    false = ResolvedTenant(issuer="https://evil.example", anchors=["evil"])
    trust = {"pid-provider": TenantTrust(tenant="pid-provider", resolved=false)}
    await apply(database, msgspec.structs.replace(UNIVERSITY, trust=trust))
    assert (await looked_up(database))["pid-provider"] != false


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_tenant_that_does_not_exist_cannot_be_trusted(database: OpenedDatabase, dry_run: bool) -> None:
    with pytest.raises(Refusal) as refused:
        await apply(database, UNIVERSITY, dry_run=dry_run)
    assert (refused.value.code, "'pid-provider'" in refused.value.reason) == ("unknown_tenant", True)
    assert await head_of(database, "university") is None
    await apply(database, PID)
    await delete_tenant(database.platform, database.clock, "pid-provider")
    with pytest.raises(Refusal) as deleted:
        await apply(database, UNIVERSITY, dry_run=dry_run)
    assert deleted.value.code == "unknown_tenant"


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_tenant_under_a_foreign_authority_is_trusted_by_that_one(
    database: OpenedDatabase, issued_by_an_authority: Callable[[], tuple[bytes, bytes]], dry_run: bool
) -> None:
    await apply_all(database, [PID, UNIVERSITY])
    await import_key(database, issued_by_an_authority())
    with pytest.raises(Refusal) as refused:
        await apply(database, UNIVERSITY, dry_run=dry_run)
    assert refused.value.code == "untrustable_tenant"
    assert "`type: x509`" in refused.value.reason
    head = await head_of(database, "university")
    assert head is not None
    assert head.revision == 1


async def test_what_changes_while_a_document_is_applied_counts(
    database: OpenedDatabase, issued_by_an_authority: Callable[[], tuple[bytes, bytes]]
) -> None:
    await apply(database, PID)
    passwords = FakePasswords(together=2)

    async def import_meanwhile() -> None:
        await import_key(database, issued_by_an_authority())
        await passwords.hash("")

    with_user = msgspec.structs.replace(UNIVERSITY, users=[User(username="erika", password="x")])
    with pytest.raises(Refusal) as refused:
        await asyncio.gather(apply(database, with_user, passwords), import_meanwhile())
    assert refused.value.code == "untrustable_tenant"
    assert await head_of(database, "university") is None


async def test_a_tenant_can_trust_itself(database: OpenedDatabase) -> None:
    itself = tenant("acme", "acme")
    assert (await apply(database, itself, dry_run=True)).changes[0] == "add trust of-acme"
    await apply(database, itself)
    resolved = (await looked_up(database, "acme"))["of-acme"]
    assert resolved == ResolvedTenant(issuer=f"{PUBLIC_URL}/acme", anchors=[await authority(database, "acme")])
    assert (await apply(database, itself)).unchanged
    moved = msgspec.structs.replace(itself, issuer=Issuer(origin="https://acme.example"))
    await apply(database, moved)
    assert (await apply(database, moved)).unchanged


async def test_a_document_with_people_is_the_same_until_the_other_tenant_changes(database: OpenedDatabase) -> None:
    with_user = msgspec.structs.replace(UNIVERSITY, users=[User(username="erika", password="x")])
    await apply_all(database, [PID, with_user])
    assert (await apply(database, with_user)).unchanged
    await apply(database, msgspec.structs.replace(PID, issuer=Issuer(origin="https://pid.example")))
    assert (await apply(database, with_user)).changes == ["change trust pid-provider"]


async def test_trusted_tenants_are_applied_first(database: OpenedDatabase) -> None:
    dry = await apply_all(database, [UNIVERSITY, PID], dry_run=True)
    assert [(applied.slug, applied.created) for applied in dry] == [("pid-provider", True), ("university", True)]
    assert "add trust pid-provider" in dry[1].changes
    assert await audit_of(database) == []

    applied = await apply_all(database, [UNIVERSITY, PID])
    assert [(each.slug, each.created, each.revision) for each in applied] == [
        ("pid-provider", True, 1),
        ("university", True, 1),
    ]
    assert [each.unchanged for each in await apply_all(database, [UNIVERSITY, PID])] == [True, True]
    assert [each.unchanged for each in await apply_all(database, [UNIVERSITY, PID], dry_run=True)] == [True, True]


async def test_tenants_that_trust_each_other_need_one_that_exists(database: OpenedDatabase) -> None:
    circle = [tenant("a", "b"), tenant("b", "a"), tenant("c")]
    for dry_run in (True, False):
        with pytest.raises(Refusal) as refused:
            await apply_all(database, circle, dry_run=dry_run)
        assert refused.value.code == "circular_trust"
        assert "a, b" in refused.value.reason
        assert (await head_of(database, "c") is None) is dry_run
    assert await head_of(database, "a") is None

    await apply(database, tenant("a"))
    applied = await apply_all(database, circle)
    assert [(each.slug, each.revision) for each in applied] == [("c", 1), ("b", 1), ("a", 2)]
    assert all(each.unchanged for each in await apply_all(database, circle))


@pytest.mark.parametrize(
    ("documents", "existing", "order", "waiting"),
    [
        ({"a": ""}, "", "a", ""),
        ({"a": "b", "b": "c", "c": ""}, "", "cba", ""),
        ({"a": "bc", "b": "", "c": ""}, "", "bca", ""),
        ({"a": "a"}, "", "a", ""),
        ({"a": "x", "b": ""}, "", "ab", ""),
        ({"a": "b", "b": "a"}, "", "", "ab"),
        ({"a": "b", "b": "a"}, "a", "ba", ""),
        ({"a": "b", "b": "a"}, "ab", "ab", ""),
        ({"a": "b", "b": "c", "c": "a", "d": "a", "e": ""}, "", "e", "abcd"),
        ({"a": "b", "b": "c", "c": "a", "d": "a", "e": ""}, "b", "eacdb", ""),
    ],
)
def test_the_order_of_documents(documents: dict[str, str], existing: str, order: str, waiting: str) -> None:
    ordered = in_order([tenant(slug, *trusted) for slug, trusted in documents.items()], set(existing))
    assert "".join(each.tenant.slug for each in ordered.waiting) == waiting
    assert "".join(each.tenant.slug for each in ordered.documents) == order
