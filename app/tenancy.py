"""Tenancy: the per-request bundle. Nothing tenant-owned is reachable without it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from msgspec import Struct

from app.document.model import TenantDocument
from app.ports import Clock, Database, Entropy, KeyRing
from app.protocol import nonce
from app.protocol.nonce import NonceFamily
from app.records import AuditEvent
from app.storage import TenantStore

T = TypeVar("T")


def issuer_identifier(slug: str, *, origin: str | None, public_url: str) -> str:
    """Return a tenant's issuer identifier: its own origin, or its path under the public URL."""
    return origin or f"{public_url}/{slug}"


class Tenancy(Struct, frozen=True, kw_only=True):
    """One tenant as one request sees it."""

    tenant_id: str
    slug: str
    issuer: str
    """The issuer identifier, of the authorization server and of the credential issuer alike; no trailing slash."""
    document: TenantDocument
    """The revision that was current when the request began."""
    keys: KeyRing
    clock: Clock
    entropy: Entropy
    database: Database

    async def read(self, work: Callable[[TenantStore], T]) -> T:
        """Run `work` on this tenant's repositories; writes nothing."""
        return await self.database.read(self.tenant_id, work)

    async def write(self, work: Callable[[TenantStore], T]) -> T:
        """Run `work` on this tenant's repositories in one transaction and commit; raising rolls back."""
        return await self.database.write(self.tenant_id, work)

    def url(self, path: str) -> str:
        """Return the public URL of one of this tenant's endpoints: `path` begins with a slash."""
        return self.issuer + path

    def fresh_nonce(self, family: NonceFamily) -> str:
        """Mint a nonce of this tenant."""
        random = self.entropy.octets(nonce.RANDOM_LENGTH)
        return nonce.mint_nonce(self.keys.nonce_key, family, now=self.clock.now(), random=random)

    def is_live_nonce(self, family: NonceFamily, value: str, *, lifetime: int) -> bool:
        """Whether a nonce is this tenant's, of this family, and younger than `lifetime` seconds."""
        return nonce.is_live(self.keys.nonce_key, family, value, now=self.clock.now(), lifetime=lifetime)

    def event(self, kind: str, subject: str, **detail: str | int | None) -> AuditEvent:
        """Make an audit event of now."""
        return AuditEvent(
            event_id=self.entropy.identifier(),
            occurred_at=self.clock.now(),
            kind=kind,
            subject=subject,
            detail=detail,
        )


class Tenancies(Protocol):
    """Opens tenants: the only maker of `Tenancy`."""

    async def by_slug(self, slug: str) -> Tenancy | None:
        """Return an active tenant under the public URL."""
        ...

    async def by_origin(self, origin: str) -> Tenancy | None:
        """Return an active tenant that has this origin of its own."""
        ...
