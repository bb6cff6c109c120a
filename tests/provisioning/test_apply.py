"""Applying tenant documents: all or nothing, once, and nothing comes between."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from app.adapters.db.tables import audit_events
from app.adapters.key_maker import SoftwareKeyMaker
from app.document.model import Client, Issuer, TenantDocument, User
from app.document.reader import read
from app.protocol.refusal import Refusal
from app.provisioning import delete_tenant, import_credential_key
from app.provisioning.apply import Applied, apply_document
from app.records import StoredUser, TenantHead
from app.storage import PlatformStore, TenantStore
from tests.document.test_reader import EXAMPLE, MINIMAL
from tests.support.database import OpenedDatabase


def document_of(source: bytes) -> TenantDocument:
    document = read(source).document
    assert document is not None
    return document


PUBLIC_URL = "http://localhost:8000"
EXAMPLE_DOCUMENT = document_of(EXAMPLE)
ACME = msgspec.structs.replace(
    document_of(MINIMAL.encode()),
    users=[User(username="erika", password="one"), User(username="max", password="two", claims={"name": "Max"})],
)


class FakePasswords:
    """Hashes that show whether they were made anew; `together` lets that many appliers judge before any writes."""

    def __init__(self, together: int = 1) -> None:
        self._made = 0
        self._barrier = asyncio.Barrier(together)

    async def hash(self, password: str) -> str:
        await self._barrier.wait()
        self._made += 1
        return f"$argon2id${password[::-1]}${self._made}"

    async def matches(self, password: str, encoded: str | None) -> bool:
        raise AssertionError("applying a document compares no password")


async def apply(
    database: OpenedDatabase, document: TenantDocument, passwords: FakePasswords | None = None, *, dry_run: bool = False
) -> Applied:
    return await apply_document(
        database.platform,
        SoftwareKeyMaker(database.entropy),
        passwords or FakePasswords(),
        database.clock,
        database.entropy,
        document,
        public_url=PUBLIC_URL,
        dry_run=dry_run,
    )


async def head_of(database: OpenedDatabase, slug: str) -> TenantHead | None:
    return await database.platform.transact(lambda store: store.by_slug(slug))


async def users_of(database: OpenedDatabase, slug: str) -> dict[str, StoredUser]:
    def look(store: PlatformStore) -> list[StoredUser]:
        head = store.by_slug(slug)
        assert head is not None
        return store.tenant(head.tenant_id).users.all()

    return {user.username: user for user in await database.platform.transact(look)}


async def audit_of(database: OpenedDatabase) -> list[tuple[str, str]]:
    rows = await database.sql(lambda connection: connection.execute(audit_events.select()).all())
    return [(row.kind, row.subject) for row in rows]


async def test_the_first_apply_makes_the_tenant_whole(database: OpenedDatabase) -> None:
    applied = await apply(database, EXAMPLE_DOCUMENT)
    assert (applied.created, applied.unchanged, applied.revision) == (True, False, 1)
    assert applied.changes == [
        "add sequence sign-in-and-confirm",
        "add credential pid",
        "add client demo-wallet",
        "add user erika",
    ]
    head = await head_of(database, "pid-provider")
    assert head is not None

    def look(store: TenantStore) -> None:
        assert store.documents.current() == (1, EXAMPLE_DOCUMENT.without_users())
        keys = {key.purpose: key for key in store.signing_keys.all()}
        assert sorted(keys) == ["access_token", "credential", "development_ca"]
        assert len(keys["credential"].certificate_chain) == 1
        erika = store.users.by_username("erika")
        assert erika is not None
        assert erika.password_hash == "$argon2id$omed-elubitsev$1"
        assert erika.claims == EXAMPLE_DOCUMENT.users[0].claims

    await database.read(head, look)
    assert await audit_of(database) == [("tenant_created", "revision 1")]


async def test_the_same_document_again_writes_nothing(database: OpenedDatabase) -> None:
    await apply(database, EXAMPLE_DOCUMENT)
    before = await users_of(database, "pid-provider")
    rewritten = document_of(b"# another form of the same\n" + msgspec.json.encode(EXAMPLE_DOCUMENT))
    applied = await apply(database, rewritten)
    assert (applied.created, applied.unchanged, applied.revision, applied.changes) == (False, True, 1, [])
    assert await users_of(database, "pid-provider") == before
    assert len(await audit_of(database)) == 1


async def test_a_changed_document_becomes_the_next_revision(database: OpenedDatabase) -> None:
    await apply(database, ACME)
    before = await users_of(database, "acme")
    changed = msgspec.structs.replace(
        ACME,
        users=[User(username="erika", password="one", active=False), User(username="new", password="three")],
        issuer=Issuer(origin="https://acme.example"),
        clients=msgspec.structs.replace(
            ACME.clients, registered=[Client(client_id="w", name="W", redirect_uris=["https://w.example/"])]
        ),
    )
    applied = await apply(database, changed)
    assert (applied.created, applied.unchanged, applied.revision) == (False, False, 2)
    assert applied.changes == ["change issuer", "add client w", "remove user max", "add user new", "change user erika"]
    after = await users_of(database, "acme")
    assert sorted(after) == ["erika", "new"]
    assert after["erika"].user_id == before["erika"].user_id
    assert not after["erika"].active
    head = await head_of(database, "acme")
    assert head is not None
    assert (head.revision, head.origin) == (2, "https://acme.example")
    keys = await database.read(head, lambda store: store.signing_keys.all())
    assert len(keys) == 3
    assert await audit_of(database) == [("tenant_created", "revision 1"), ("document_applied", "revision 2")]


async def test_another_password_is_a_change(database: OpenedDatabase) -> None:
    await apply(database, ACME)
    users = [msgspec.structs.replace(ACME.users[0], password="other"), ACME.users[1]]
    applied = await apply(database, msgspec.structs.replace(ACME, users=users))
    assert (applied.revision, applied.changes) == (2, ["change passwords, or the order of entries"])
    assert (await users_of(database, "acme"))["erika"].password_hash.startswith("$argon2id$rehto$")


async def test_a_given_hash_is_kept(database: OpenedDatabase) -> None:
    users = [User(username="erika", password_hash="$argon2id$given")]
    await apply(database, msgspec.structs.replace(ACME, users=users))
    assert (await users_of(database, "acme"))["erika"].password_hash == "$argon2id$given"


async def test_a_dry_run_tells_the_changes_and_writes_nothing(database: OpenedDatabase) -> None:
    applied = await apply(database, ACME, dry_run=True)
    assert (applied.created, applied.revision) == (True, 0)
    assert "add user max" in applied.changes
    assert await head_of(database, "acme") is None

    await apply(database, ACME)
    applied = await apply(database, msgspec.structs.replace(ACME, users=ACME.users[:1]), dry_run=True)
    assert (applied.created, applied.revision, applied.changes) == (False, 1, ["remove user max"])
    assert sorted(await users_of(database, "acme")) == ["erika", "max"]


async def test_what_fails_changes_nothing(database: OpenedDatabase) -> None:
    origin = Issuer(origin="https://pid.example")
    await apply(database, msgspec.structs.replace(EXAMPLE_DOCUMENT, issuer=origin))
    with pytest.raises(Refusal) as new:
        await apply(database, msgspec.structs.replace(ACME, issuer=origin))
    assert new.value.code == "tenant_exists"
    assert await head_of(database, "acme") is None

    await apply(database, ACME)
    with pytest.raises(Refusal):
        await apply(database, msgspec.structs.replace(ACME, issuer=origin, users=[]))
    # Fails as late as can be: two people whose names fall together.
    twins = [User(username="Erika", password="x"), User(username="ERIKA", password="y")]
    with pytest.raises(Refusal):
        await apply(database, msgspec.structs.replace(ACME, users=twins))
    head = await head_of(database, "acme")
    assert head is not None
    assert (head.revision, head.origin) == (1, None)
    assert sorted(await users_of(database, "acme")) == ["erika", "max"]


async def test_a_deleted_slug_is_never_given_out_again(database: OpenedDatabase) -> None:
    await apply(database, ACME)
    await delete_tenant(database.platform, database.clock, "acme")
    with pytest.raises(Refusal) as refused:
        await apply(database, ACME)
    assert refused.value.code == "tenant_deleted"
    with pytest.raises(Refusal) as again:
        await delete_tenant(database.platform, database.clock, "acme")
    assert again.value.code == "unknown_tenant"


async def test_two_appliers_of_a_new_slug_make_one_tenant(database: OpenedDatabase) -> None:
    await assert_one_wins(database, [ACME, msgspec.structs.replace(ACME, users=ACME.users[:1])], "tenant_exists", 1)


async def test_two_appliers_of_a_change_make_one_revision(database: OpenedDatabase) -> None:
    await apply(database, ACME)
    documents = [msgspec.structs.replace(ACME, users=[user]) for user in ACME.users]
    await assert_one_wins(database, documents, "conflict", 2)


async def assert_one_wins(database: OpenedDatabase, documents: list[TenantDocument], code: str, revision: int) -> None:
    passwords = FakePasswords(together=len(documents))
    results = await asyncio.gather(
        *(apply(database, with_one_user(document), passwords) for document in documents), return_exceptions=True
    )
    lost = [result for result in results if isinstance(result, BaseException)]
    assert [type(result) for result in lost] == [Refusal]
    assert [result.code for result in lost if isinstance(result, Refusal)] == [code]
    (won,) = [(result, document) for result, document in zip(results, documents, strict=True) if result not in lost]
    head = await head_of(database, "acme")
    assert head is not None
    assert head.revision == revision
    assert sorted(await users_of(database, "acme")) == [user.username for user in with_one_user(won[1]).users]


def with_one_user(document: TenantDocument) -> TenantDocument:
    """Each applier comes to the barrier once: one password to hash."""
    return msgspec.structs.replace(document, users=document.users[-1:])


async def test_an_applier_that_finds_the_tenant_deleted_meanwhile_writes_nothing(database: OpenedDatabase) -> None:
    await apply(database, ACME)
    passwords = FakePasswords(together=2)

    async def delete() -> None:
        await delete_tenant(database.platform, database.clock, "acme")
        await passwords.hash("")

    with pytest.raises(Refusal) as refused:
        await asyncio.gather(apply(database, msgspec.structs.replace(ACME, users=ACME.users[:1]), passwords), delete())
    assert refused.value.code in {"unknown_tenant", "tenant_deleted"}


async def test_an_imported_key_signs_from_then_on(
    database: OpenedDatabase, issued_by_an_authority: Callable[[], tuple[bytes, bytes]]
) -> None:
    await apply(database, ACME)
    key_pem, chain_pem = issued_by_an_authority()

    async def import_key() -> str:
        key = await import_credential_key(
            database.platform,
            SoftwareKeyMaker(database.entropy),
            database.clock,
            database.entropy,
            "acme",
            private_key_pem=key_pem,
            chain_pem=chain_pem,
        )
        return key.key_id

    database.clock.advance(10)
    key_id = await import_key()
    head = await head_of(database, "acme")
    assert head is not None
    keys = await database.read(head, lambda store: store.signing_keys.all())
    active = {key.purpose: key.key_id for key in keys if key.retired_at is None}
    assert active["credential"] == key_id
    assert sorted(active) == ["access_token", "credential", "development_ca"]
    retired = [key for key in keys if key.retired_at is not None]
    assert [(key.purpose, key.retired_at) for key in retired] == [("credential", database.clock.now())]
    assert (await audit_of(database))[1:] == [("key_imported", key_id), ("key_retired", retired[0].key_id)]
    with pytest.raises(Refusal) as again:
        await import_key()
    assert again.value.code == "invalid_key"
