"""Moves tenants to new data keys, and those to a new master key, in small transactions while the service serves."""

from typing import Final

from msgspec import Struct

from app.jobs import Tell
from app.ports import Clock, Database, Entropy, Platform
from app.provisioning import note, tenant_of
from app.records import Resealed, SealedValue
from app.storage import PlatformStore

_BATCH: Final = 100


class Rotation(Struct, frozen=True, kw_only=True):
    """What a rotation did."""

    added: int | None
    """The number of the new data key; None where an earlier rotation was finished instead."""
    resealed: int
    broken: int
    """Values that stay under an older data key, because they do not open."""


async def rotate_data_key(
    platform: Platform,
    database: Database,
    clock: Clock,
    entropy: Entropy,
    slug: str,
    *,
    tell: Tell,
    batch: int = _BATCH,
) -> Rotation:
    """Give a tenant a new data key and bring every sealed value under it; or finish that, where it was begun before.

    Raises `Refusal` where there is no such tenant.
    """

    def add(store: PlatformStore) -> int:
        repositories = store.tenant(tenant_id)
        number = store.add_data_key(tenant_id, now=clock.now())
        note(repositories, clock, entropy, "data_key_added", str(number))
        return number

    tenant_id = await platform.transact(lambda store: tenant_of(store, slug).tenant_id)
    begun = await _reseal(database, tenant_id, tell, batch)
    if begun.done:
        return Rotation(added=None, resealed=begun.done, broken=begun.broken)
    added = await platform.transact(add)
    resealed = await _reseal(database, tenant_id, tell, batch)
    return Rotation(added=added, resealed=resealed.done, broken=resealed.broken)


async def rewrap_data_keys(platform: Platform, tell: Tell, *, batch: int = _BATCH) -> int:
    """Wrap every data key by the first master key; return how many another one wrapped."""
    total = 0
    while done := await platform.transact(lambda store: store.rewrap_data_keys(limit=batch)):
        total += done
        tell(done)
    return total


async def _reseal(database: Database, tenant_id: str, tell: Tell, batch: int) -> Resealed:
    """Bring everything under the newest data key, in passes until one finds nothing to do.

    A transaction that was under way when the key was added may have sealed with an older one behind a pass.
    """
    done = 0
    while (of_pass := await _pass(database, tenant_id, tell, batch)).done:
        done += of_pass.done
    return Resealed(done=done, broken=of_pass.broken)


async def _pass(database: Database, tenant_id: str, tell: Tell, batch: int) -> Resealed:
    done = broken = 0
    found: list[SealedValue] = []
    while found := await database.read(
        tenant_id, lambda store: store.sealed_values.under_older_keys(after=found[-1] if found else None, limit=batch)
    ):
        of_batch = await database.write(tenant_id, lambda store: store.sealed_values.reseal(found))
        done, broken = done + of_batch.done, broken + of_batch.broken
        tell(of_batch.done)
    return Resealed(done=done, broken=broken)
