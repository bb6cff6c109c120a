"""DCQL queries as structs: what a verifier asks for (OpenID4VP §6). What comes back is judged by `app.protocol.dcql`.

The specification sets no bounds; these keep what a wallet, and later the judge, has to try small (DQ-18, J-05).
"""

from typing import Annotated, Literal

from msgspec import Meta

from app.document.part import Identifier, Part

PathComponent = Annotated[
    Annotated[str, Meta(min_length=1, max_length=200)] | Annotated[int, Meta(ge=0, le=9999)] | None,
    Meta(description="a name, the index of an element, or null for all elements"),
]
ClaimsPath = Annotated[list[PathComponent], Meta(min_length=1, max_length=16)]
"""A claims path pointer (OpenID4VP §7): a name selects a member, a number an array element, null all elements."""
ClaimValue = Annotated[
    Annotated[str, Meta(max_length=1000)] | int | bool, Meta(description="text, a whole number, or true or false")
]
ClaimIds = Annotated[list[Identifier], Meta(min_length=1, max_length=64)]
CredentialIds = Annotated[list[Identifier], Meta(min_length=1, max_length=16)]


class ClaimsQuery(Part, frozen=True, kw_only=True):
    """One claim that is asked for (OpenID4VP §6.3)."""

    id: Identifier | None = None
    path: ClaimsPath
    values: Annotated[list[ClaimValue], Meta(min_length=1, max_length=64)] | None = None
    """Only credentials with one of these, equal in type and value."""


class SdJwtVcMeta(Part, frozen=True):
    """Which types of `dc+sd-jwt` will do (OpenID4VP §B.3.5)."""

    vct_values: Annotated[list[Annotated[str, Meta(min_length=1, max_length=500)]], Meta(min_length=1, max_length=16)]


class TrustedAuthority(Part, frozen=True):
    """Authorities that help a wallet choose (OpenID4VP §6.1.1); trust itself is the tenant's `trust`."""

    type: Literal["aki"]
    values: Annotated[
        list[Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}\Z", description="a key identifier in base64url")]],
        Meta(min_length=1, max_length=16),
    ]


class CredentialQuery(Part, frozen=True):
    """One credential that is asked for (OpenID4VP §6.1)."""

    id: Identifier
    format: Literal["dc+sd-jwt"]
    meta: SdJwtVcMeta
    multiple: bool = False
    require_cryptographic_holder_binding: bool = True
    trusted_authorities: Annotated[list[TrustedAuthority], Meta(min_length=1, max_length=16)] | None = None
    claims: Annotated[list[ClaimsQuery], Meta(min_length=1, max_length=64)] | None = None
    claim_sets: Annotated[list[ClaimIds], Meta(min_length=1, max_length=16)] | None = None
    """Combinations of `claims` that will do, the preferred one first."""


class CredentialSetQuery(Part, frozen=True):
    """Which combinations of credentials will do (OpenID4VP §6.2)."""

    options: Annotated[list[CredentialIds], Meta(min_length=1, max_length=16)]
    required: bool = True


class DcqlQuery(Part, frozen=True):
    """A DCQL query (OpenID4VP §6)."""

    credentials: Annotated[list[CredentialQuery], Meta(min_length=1, max_length=16)]
    credential_sets: Annotated[list[CredentialSetQuery], Meta(min_length=1, max_length=16)] | None = None
