"""Making, changing and deleting tenants: what is done with a valid document, whoever brings it."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from app.document.model import TenantDocument
from app.ports import Clock, Entropy, KeyMaker, Passwords, Platform
from app.protocol.refusal import Refusal
from app.records import AuditEvent, SigningKey, StoredUser, TenantHead
from app.storage import PlatformStore, TenantStore


class Applied(Struct, frozen=True, kw_only=True):
    """What applying a document did, or would do."""

    slug: str
    created: bool
    unchanged: bool
    """The same document was applied before and is the current one; nothing was written."""
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


async def apply_document(
    platform: Platform,
    key_maker: KeyMaker,
    passwords: Passwords,
    clock: Clock,
    entropy: Entropy,
    document: TenantDocument,
    *,
    dry_run: bool = False,
) -> Applied:
    """Make the tenant of a valid document, or change it; one transaction, all or nothing.

    Raises `Refusal` where the slug was deleted, another tenant has its origin, or the tenant was changed while this
    ran; then nothing is written.
    """
    slug, origin = document.tenant.slug, document.issuer.origin
    source = msgspec.json.encode(document, order="sorted")
    present = await platform.transact(lambda store: _look(store, slug, source))
    changes = describe_changes(present.document if present else None, present.users if present else [], document)
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
            *key_maker.development_credential_keys(common_name=document.tenant.display[0].name, now=now),
        ]

    def record(platform_store: PlatformStore) -> int:
        if present is None:
            head = platform_store.create(slug=slug, origin=origin, now=now)
        else:
            head = tenant_of(platform_store, slug)
            platform_store.set_origin(head.tenant_id, origin)
        store = platform_store.tenant(head.tenant_id)
        # The revision counts up under a lock of the tenant's row, so it also tells whether somebody came between.
        revision = store.documents.add(document, now=now, fingerprint=store.documents.fingerprint(source))
        if revision != applied.revision + 1:
            raise Refusal("conflict", "The tenant was changed by somebody else meanwhile. Apply again.")
        store.clients.replace_all(document.clients.registered)
        store.users.replace_all(people)
        for key in keys:
            store.signing_keys.add(key)
        _note(
            store, clock, entropy, "tenant_created" if present is None else "document_applied", f"revision {revision}"
        )
        return revision

    return msgspec.structs.replace(applied, revision=await platform.transact(record))


async def delete_tenant(platform: Platform, clock: Clock, slug: str) -> None:
    """Destroy a tenant's keys and data for good. Raises `Refusal` where there is none."""
    await platform.transact(lambda store: store.delete(tenant_of(store, slug).tenant_id, now=clock.now()))


async def import_credential_key(
    platform: Platform,
    key_maker: KeyMaker,
    clock: Clock,
    entropy: Entropy,
    slug: str,
    *,
    private_key_pem: bytes,
    chain_pem: bytes,
) -> SigningKey:
    """Let a tenant sign credentials with this key from now on; those that did so before are retired.

    Raises `Refusal` with what is wrong with key or chain.
    """
    now = clock.now()
    key = key_maker.import_credential_key(private_key_pem=private_key_pem, chain_pem=chain_pem, now=now)

    def record(platform_store: PlatformStore) -> None:
        store = platform_store.tenant(tenant_of(platform_store, slug).tenant_id)
        known = store.signing_keys.all()
        if any(other.key_id == key.key_id for other in known):
            raise Refusal("invalid_key", "The tenant has this key already; a new certificate needs a new key.")
        store.signing_keys.add(key)
        _note(store, clock, entropy, "key_imported", key.key_id)
        for other in known:
            if other.purpose == "credential" and store.signing_keys.retire(other.key_id, now=now):
                _note(store, clock, entropy, "key_retired", other.key_id)

    await platform.transact(record)
    return key


def tenant_of(store: PlatformStore, slug: str) -> TenantHead:
    """Return a tenant by its slug. Raises `Refusal` where there is none, or none any more."""
    head = store.by_slug(slug)
    if head is None or head.status == "deleted":
        raise Refusal("unknown_tenant", "There is no such tenant.", reason=f"There is no tenant {slug!r}.")
    return head


def describe_changes(old: TenantDocument | None, old_users: Collection[StoredUser], new: TenantDocument) -> list[str]:
    """Return in words how a document differs from what is there; empty where only passwords or order differ."""
    parts = msgspec.structs.asdict(new)
    old_parts = msgspec.structs.asdict(old) if old else {}
    changes = [] if old is None else [f"change {name}" for name in _SIMPLE_PARTS if parts[name] != old_parts[name]]
    changes += _differences("sequence", old.sequences if old else {}, new.sequences)
    changes += _differences("credential", old.credentials if old else {}, new.credentials)
    old_clients = {client.client_id: client for client in old.clients.registered} if old else {}
    changes += _differences("client", old_clients, {client.client_id: client for client in new.clients.registered})
    if old is not None and _client_policy(old) != _client_policy(new):
        changes.append("change which unregistered clients and redirect schemes are accepted")
    changes += _differences(
        "user",
        {user.username: (user.claims, user.demo_hint, user.active) for user in old_users},
        {user.username: (user.claims, user.demo_hint, user.active) for user in new.users},
    )
    return changes


_SIMPLE_PARTS = ("tenant", "issuer", "dpop", "lifetimes")


def _client_policy(document: TenantDocument) -> tuple[Any, ...]:
    return document.clients.unknown_public, document.clients.allow_private_use_schemes


def _differences(kind: str, old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [
        *(f"remove {kind} {name}" for name in old if name not in new),
        *(f"add {kind} {name}" for name in new if name not in old),
        *(f"change {kind} {name}" for name in new if name in old and old[name] != new[name]),
    ]


def _look(platform_store: PlatformStore, slug: str, source: bytes) -> _Present | None:
    head = platform_store.by_slug(slug)
    if head is None:
        return None
    if head.status == "deleted":
        raise Refusal("tenant_deleted", "The slug belonged to a deleted tenant and is never given out again.")
    store = platform_store.tenant(head.tenant_id)
    _, document = store.documents.current()
    same = store.documents.current_fingerprint() == store.documents.fingerprint(source)
    return _Present(head=head, document=document, users=store.users.all(), same=same)


def _note(store: TenantStore, clock: Clock, entropy: Entropy, kind: str, subject: str) -> None:
    store.audit.append(AuditEvent(event_id=entropy.identifier(), occurred_at=clock.now(), kind=kind, subject=subject))
