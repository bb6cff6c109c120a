"""Applying tenant documents: making tenants, and changing them."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence

import msgspec
from msgspec import Struct

from app.document.model import TenantDocument, User
from app.ports import Clock, Entropy, KeyMaker, Passwords, Platform
from app.protocol.refusal import Refusal
from app.provisioning import note, tenant_of, unless_deleted
from app.provisioning.changes import describe_changes
from app.provisioning.trust import in_order, resolve_trust
from app.records import SigningKey, StoredUser, TenantHead
from app.storage import PlatformStore
from app.tenancy import issuer_identifier


class Applied(Struct, frozen=True, kw_only=True):
    """What applying a document did, or would do."""

    slug: str
    created: bool
    unchanged: bool
    """The document is the current one already, and so is whom it trusts; nothing was written."""
    revision: int
    """The revision that is current now; 0 where there is none yet."""
    changes: list[str]
    """Such as `add credential pid`."""


class _Present(Struct, frozen=True, kw_only=True):
    """A tenant as it was when the change was judged."""

    head: TenantHead
    document: TenantDocument
    users: list[StoredUser]
    same: bool


async def apply_documents(
    platform: Platform,
    key_maker: KeyMaker,
    passwords: Passwords,
    clock: Clock,
    entropy: Entropy,
    documents: Sequence[TenantDocument],
    *,
    public_url: str,
    dry_run: bool = False,
) -> AsyncIterator[Applied]:
    """Apply documents one by one, trusted tenants first; a transaction for each.

    Raises `Refusal` at the first that cannot be applied; those before it stay.
    """
    existing = await platform.transact(lambda store: {head.slug for head in store.tenants()})
    order = in_order(documents, existing)
    coming: set[str] = set()
    for document in order.documents:
        yield await apply_document(
            platform,
            key_maker,
            passwords,
            clock,
            entropy,
            document,
            public_url=public_url,
            coming=coming,
            dry_run=dry_run,
        )
        coming.add(document.tenant.slug)
    if order.waiting:
        names = ", ".join(document.tenant.slug for document in order.waiting)
        raise Refusal(
            "circular_trust",
            "Tenants wait for each other.",
            reason=f"These tenants trust each other or wait for those that do: {names}."
            " Apply one of them without that trust first, then all of them.",
        )


async def apply_document(
    platform: Platform,
    key_maker: KeyMaker,
    passwords: Passwords,
    clock: Clock,
    entropy: Entropy,
    document: TenantDocument,
    *,
    public_url: str,
    coming: Collection[str] = (),
    dry_run: bool = False,
) -> Applied:
    """Make the tenant of a valid document, or change it; one transaction, all or nothing.

    Tenants that are `coming` may be trusted although they do not exist yet. Raises `Refusal` where the slug was
    deleted, another tenant has its origin, a trusted tenant cannot be trusted, or the tenant was changed while this
    ran; then nothing is written.
    """
    slug, origin = document.tenant.slug, document.issuer.origin

    def look(store: PlatformStore) -> tuple[TenantDocument, _Present | None]:
        # A new tenant that trusts itself has no keys to look up yet.
        resolved = resolve_trust(store, document, public_url=public_url, coming={slug, *coming})
        return resolved, _look(store, resolved)

    resolved, present = await platform.transact(look)
    changes = describe_changes(present.document if present else None, present.users if present else [], resolved)
    applied = Applied(
        slug=slug,
        created=present is None,
        unchanged=present is not None and present.same,
        revision=present.head.revision if present else 0,
        # What cannot be told apart without trying every password.
        changes=changes or ["change passwords, or the order of entries"],
    )
    if applied.unchanged:
        return msgspec.structs.replace(applied, changes=[])
    if dry_run:
        return applied

    now = clock.now()
    people = [
        StoredUser(
            user_id=entropy.identifier(),
            username=user.username,
            password_hash=user.password_hash or await passwords.hash(user.password or ""),
            demo_hint=user.demo_hint,
            claims=user.claims,
            active=user.active,
        )
        for user in document.users
    ]
    keys: list[SigningKey] = []
    if present is None:
        keys = [
            key_maker.access_token_key(now=now),
            *key_maker.development_credential_keys(
                common_name=document.tenant.display[0].name,
                issuer=issuer_identifier(slug, origin=origin, public_url=public_url),
                now=now,
            ),
        ]

    def record(platform_store: PlatformStore) -> int:
        if present is None:
            head = platform_store.create(slug=slug, origin=origin, now=now)
        else:
            head = tenant_of(platform_store, slug)
            platform_store.set_origin(head.tenant_id, origin)
        store = platform_store.tenant(head.tenant_id)
        for key in keys:
            store.signing_keys.add(key)
        # Again, in this transaction: what is stored is how the trusted tenants are now.
        whole = resolve_trust(platform_store, document, public_url=public_url)
        # The revision counts up under a lock of the tenant's row, so it also tells whether somebody came between.
        revision = store.documents.add(whole, now=now, fingerprint=store.documents.fingerprint(_canonical(whole)))
        if revision != applied.revision + 1:
            raise Refusal("conflict", "The tenant was changed by somebody else meanwhile. Apply again.")
        store.users.replace_all(people)
        note(store, clock, entropy, "tenant_created" if present is None else "document_applied", f"revision {revision}")
        return revision

    return msgspec.structs.replace(applied, revision=await platform.transact(record))


def _look(platform_store: PlatformStore, document: TenantDocument) -> _Present | None:
    head = unless_deleted(platform_store, document.tenant.slug)
    if head is None:
        return None
    store = platform_store.tenant(head.tenant_id)
    _, stored = store.documents.current()
    users = store.users.all()
    fingerprint = store.documents.fingerprint(_canonical(document))
    same = store.documents.current_fingerprint() == fingerprint or _is_stored(document, stored, users)
    return _Present(head=head, document=stored, users=users, same=same)


def _canonical(document: TenantDocument) -> bytes:
    """Return the octets that are equal for equal documents, people and the tenants they trust included."""
    return msgspec.json.encode(document, order="sorted")


def _is_stored(document: TenantDocument, stored: TenantDocument, users: Sequence[StoredUser]) -> bool:
    """Whether all of the document is there already, such as an exported one, which has password hashes."""
    return document.without_users() == stored and _people(document.users) == _people(users)


def _people(users: Iterable[User | StoredUser]) -> dict[str, object]:
    return {user.username: (user.password_hash, user.active, user.demo_hint, user.claims) for user in users}
