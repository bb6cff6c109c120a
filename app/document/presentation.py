"""Presentations a tenant asks for, and whom it trusts to have issued what is presented."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from app.document.dcql import DcqlQuery
from app.document.part import Identifier, Part, Slug

Certificate = Annotated[str, Meta(min_length=1, max_length=32_768, description="a certificate in PEM")]


class CertifiedName(Part, frozen=True):
    """One issuer among those an authority certifies, by its leaf certificate; exactly one of the members."""

    subject: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    """The whole subject as RFC 4514 spells it, such as `CN=PID Issuer,O=Example,C=DE`."""
    san_dns: Annotated[str, Meta(min_length=1, max_length=260)] | None = None
    san_uri: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None


class X509Trust(Part, frozen=True, tag_field="type", tag="x509"):
    """Issuers certified by authorities: the credential carries its chain (`x5c`; HAIP §6.1.1)."""

    anchors: Annotated[list[Certificate], Meta(min_length=1, max_length=20)]
    issuers: Annotated[list[CertifiedName], Meta(min_length=1, max_length=50)] | None = None
    """Only these of the issuers the authorities certify; absent: all of them."""


class JwksTrust(Part, frozen=True, tag_field="type", tag="jwks"):
    """One issuer by its keys: the credential's `iss` is `issuer`, and its key is found here, never fetched."""

    issuer: Annotated[str, Meta(min_length=1, max_length=500)]
    keys: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=20)]
    """Public JWKs (RFC 7517); `kid` chooses where there are several."""


class ResolvedTenant(Part, frozen=True):
    """Another tenant's public view as it was when the document was applied."""

    issuer: Annotated[str, Meta(max_length=500)]
    anchors: list[Certificate]


class TenantTrust(Part, frozen=True, tag_field="type", tag="tenant"):
    """Another tenant of this service, by its slug."""

    tenant: Slug
    resolved: Annotated[ResolvedTenant | None, Meta(extra_json_schema={"readOnly": True})] = None
    """Written by the service when the document is applied; a changed authority needs a new apply."""


Trust = X509Trust | JwksTrust | TenantTrust


class Presentation(Part, frozen=True):
    """What is asked for, and whose credentials are taken for it."""

    dcql_query: DcqlQuery
    trust: dict[Identifier, Annotated[list[Identifier], Meta(min_length=1, max_length=20)]]
    """Id of each credential query → names under the document's `trust`."""
    status: Literal["refused", "unchecked"] = "refused"
    """What becomes of a credential with a `status`, which this service does not look up: refuse it, or take it
    unchecked."""
