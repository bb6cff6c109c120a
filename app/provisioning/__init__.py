"""Making, changing and deleting tenants: what is done with a valid document, whoever brings it."""

from app.ports import Clock, Entropy, KeyMaker, Platform
from app.protocol.refusal import Refusal
from app.records import AuditEvent, SigningKey, TenantHead
from app.storage import PlatformStore, TenantStore


def tenant_of(store: PlatformStore, slug: str) -> TenantHead:
    """Return a tenant by its slug. Raises `Refusal` where there is none, or none any more."""
    head = store.by_slug(slug)
    if head is None or head.status == "deleted":
        raise Refusal("unknown_tenant", "There is no such tenant.", reason=f"There is no tenant {slug!r}.")
    return head


def unless_deleted(store: PlatformStore, slug: str) -> TenantHead | None:
    """Return a tenant by its slug, None where there is none yet. Raises `Refusal` where it was deleted."""
    head = store.by_slug(slug)
    if head is not None and head.status == "deleted":
        raise Refusal("tenant_deleted", "The slug belonged to a deleted tenant and is never given out again.")
    return head


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
        note(store, clock, entropy, "key_imported", key.key_id)
        for other in known:
            if other.purpose == "credential" and store.signing_keys.retire(other.key_id, now=now):
                note(store, clock, entropy, "key_retired", other.key_id)

    await platform.transact(record)
    return key


def note(store: TenantStore, clock: Clock, entropy: Entropy, kind: str, subject: str) -> None:
    """Write an audit event of now."""
    store.audit.append(AuditEvent(event_id=entropy.identifier(), occurred_at=clock.now(), kind=kind, subject=subject))
