"""The life of a tenant's signing keys: made, used beside older ones, retired. All of it while the service serves.

The newest key of a purpose signs; older ones are trusted until they are retired. So rotation interrupts nobody, and
distrust is a word of its own.
"""

from collections.abc import Collection, Sequence

import msgspec

from app.ports import Clock, Entropy, KeyMaker, Platform
from app.protocol.refusal import Refusal
from app.provisioning import note, tenant_of
from app.records import KeyPurpose, SigningKey
from app.storage import PlatformStore
from app.tenancy import issuer_identifier


def in_use(keys: Collection[SigningKey]) -> set[str]:
    """Return which keys sign now; of development CAs, the one above the key that signs credentials."""
    newest: dict[KeyPurpose, SigningKey] = {}
    for key in keys:
        if key.retired_at is None and (key.purpose not in newest or key.created_at >= newest[key.purpose].created_at):
            newest[key.purpose] = key
    if "credential" in newest and newest["credential"].origin == "imported":
        newest.pop("development_ca", None)
    return {key.key_id for key in newest.values()}


async def rotate_access_token_key(
    platform: Platform, key_maker: KeyMaker, clock: Clock, entropy: Entropy, slug: str
) -> SigningKey:
    """Sign a tenant's access tokens with a new key from now on; what older ones signed stays good.

    Raises `Refusal` where there is no such tenant.
    """

    def record(store: PlatformStore) -> SigningKey:
        tenant_id = tenant_of(store, slug).tenant_id
        return _add(store, tenant_id, [made], clock, entropy)[0]

    made = key_maker.access_token_key(now=clock.now())
    return await platform.transact(record)


async def rotate_development_credential_key(
    platform: Platform, key_maker: KeyMaker, clock: Clock, entropy: Entropy, slug: str, *, public_url: str
) -> SigningKey:
    """Sign a tenant's credentials with a new key under a new development CA from now on.

    Raises `Refusal` where there is no such tenant, or an imported key signs.
    """

    def record(store: PlatformStore) -> SigningKey:
        head = tenant_of(store, slug)
        repositories = store.tenant(head.tenant_id)
        keys = repositories.signing_keys.all()
        used = in_use(keys)
        if any(key.origin == "imported" for key in keys if key.key_id in used):
            raise Refusal(
                "imported_key",
                "An imported key signs.",
                reason=f"{slug} signs credentials with an imported key: bring its successor by `keys import`.",
            )
        _, document = repositories.documents.current()
        made = key_maker.development_credential_keys(
            common_name=document.tenant.display[0].name,
            issuer=issuer_identifier(slug, origin=head.origin, public_url=public_url),
            now=clock.now(),
        )
        return _add(store, head.tenant_id, made, clock, entropy)[-1]

    return await platform.transact(record)


async def retire_key(platform: Platform, clock: Clock, entropy: Entropy, slug: str, key_id: str) -> SigningKey:
    """Trust a tenant's key no more. Raises `Refusal` where there is no such key, it is retired, or it signs now."""

    def record(store: PlatformStore) -> SigningKey:
        repositories = store.tenant(tenant_of(store, slug).tenant_id)
        keys = repositories.signing_keys.all()
        key = next((key for key in keys if key.key_id == key_id), None)
        if key is None:
            raise Refusal("unknown_key", "There is no such key.", reason=f"{slug} has no signing key {key_id!r}.")
        if key_id in in_use(keys):
            raise Refusal("key_in_use", "The key signs now.", reason=f"{key_id} is in use: rotate first.")
        if not repositories.signing_keys.retire(key_id, now=clock.now()):
            raise Refusal("key_retired", "The key is retired.", reason=f"{key_id} was retired before.")
        note(repositories, clock, entropy, "key_retired", key_id)
        return key

    return await platform.transact(record)


def _add(
    store: PlatformStore, tenant_id: str, made: Sequence[SigningKey], clock: Clock, entropy: Entropy
) -> list[SigningKey]:
    """Store keys so that they are the newest, also of two rotations in one second or by clocks that differ."""
    repositories = store.tenant(tenant_id)
    latest = max((key.created_at for key in repositories.signing_keys.all()), default=0)
    added = [msgspec.structs.replace(key, created_at=max(key.created_at, latest + 1)) for key in made]
    for key in added:
        repositories.signing_keys.add(key)
        note(repositories, clock, entropy, "key_rotated", key.key_id)
    return added
