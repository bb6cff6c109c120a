"""Trust in another tenant of this service: what one tenant may see of another, and when that is looked up.

It is looked up when a document is applied, and stored with it, so that a session never reads another tenant's rows. A
changed authority, issuer or key therefore needs the trusting document to be applied again.
"""

import ssl
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from app.document.model import TenantDocument
from app.document.presentation import ResolvedTenant, TenantTrust
from app.protocol.refusal import Refusal
from app.records import SigningKey
from app.storage import PlatformStore
from app.tenancy import issuer_identifier


class Ordered(Struct, frozen=True):
    """Documents in the order they can be applied in, and those that wait for one another."""

    documents: list[TenantDocument]
    waiting: list[TenantDocument]


def resolve_trust(
    store: PlatformStore, document: TenantDocument, *, public_url: str, coming: Collection[str] = ()
) -> TenantDocument:
    """Return the document with every tenant it trusts looked up; those that are only `coming` stay as they are.

    Raises `Refusal` where one cannot be trusted.
    """
    trust = {
        name: msgspec.structs.replace(entry, resolved=_look_up(store, entry.tenant, public_url, coming))
        if isinstance(entry, TenantTrust)
        else entry
        for name, entry in document.trust.items()
    }
    return msgspec.structs.replace(document, trust=trust)


def published(store: PlatformStore, slug: str, *, public_url: str) -> ResolvedTenant | None:
    """Return what other tenants may see of a tenant; None where there is no active one.

    Raises `Refusal` where its credentials are signed under an authority that is not this service's.
    """
    head = store.by_slug(slug)
    if head is None or head.status != "active":
        return None
    authorities = development_authorities(store.tenant(head.tenant_id).signing_keys.all())
    if not authorities:
        raise Refusal(
            "untrustable_tenant",
            "The tenant signs with an imported key.",
            reason=f"The tenant {slug!r} signs with an imported key, whose authority this service does not know:"
            " trust it with `type: x509` and the authority's certificate under `anchors`.",
        )
    return ResolvedTenant(
        issuer=issuer_identifier(slug, origin=head.origin, public_url=public_url), anchors=authorities
    )


def development_authorities(keys: Sequence[SigningKey]) -> list[str]:
    """Return the certificates (PEM) of the development CAs that certify what signs a tenant's credentials.

    Empty where an imported key signs: its authority has the anchor.
    """
    active = [key for key in keys if key.retired_at is None]
    if any(key.purpose == "credential" and key.origin == "imported" for key in active):
        return []
    return [ssl.DER_cert_to_PEM_cert(key.certificate_chain[0]) for key in active if key.purpose == "development_ca"]


def in_order(documents: Sequence[TenantDocument], existing: Collection[str]) -> Ordered:
    """Put trusted tenants before those that trust them.

    Tenants that trust each other can be applied in any order once all but one of them exist.
    """
    known, ordered, waiting = set(existing), list[TenantDocument](), list(documents)
    while waiting:
        slugs = {document.tenant.slug for document in waiting}
        ready = [document for document in waiting if slugs.isdisjoint(_others(document))]
        ready = ready or [document for document in waiting if known.issuperset(_others(document))][:1]
        if not ready:
            break
        ordered += ready
        known |= {document.tenant.slug for document in ready}
        waiting = [document for document in waiting if document not in ready]
    return Ordered(ordered, waiting)


def _others(document: TenantDocument) -> set[str]:
    trusted = {entry.tenant for entry in document.trust.values() if isinstance(entry, TenantTrust)}
    return trusted - {document.tenant.slug}


def _look_up(store: PlatformStore, slug: str, public_url: str, coming: Collection[str]) -> ResolvedTenant | None:
    found = published(store, slug, public_url=public_url)
    if found is None and slug not in coming:
        raise Refusal(
            "unknown_tenant",
            "A trusted tenant does not exist.",
            reason=f"There is no tenant {slug!r} to trust: apply its document first, or together with this one.",
        )
    return found
