"""DCQL (OpenID4VP §6): whether claims and credentials satisfy a query, the same for both sides.

A holder learns here what to show; a verifier, whether what was shown satisfies the query: no wallet enforces it for a
verifier (OpenID4VP §14.10). All work is linear in the query. Whom to trust is not said here.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from app.protocol import base64url
from app.protocol.claims_path import ClaimsPath, select
from app.protocol.strict_json import Malformed

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z")]
PathComponent = str | Annotated[int, Meta(ge=0)] | None


class ClaimsQuery(Struct, frozen=True):
    """One claim that is asked for (OpenID4VP §6.3)."""

    path: Annotated[list[PathComponent], Meta(min_length=1)]
    id: Id | None = None
    values: Annotated[list[str | int | bool], Meta(min_length=1)] | None = None


class SdJwtVcMeta(Struct, frozen=True):
    """Which types will do (OpenID4VP §B.3.5); queries for other formats have other members."""

    vct_values: list[str] = []


class TrustedAuthority(Struct, frozen=True):
    """Authorities of one type (OpenID4VP §6.1.1)."""

    type: str
    values: Annotated[list[str], Meta(min_length=1)]


class CredentialQuery(Struct, frozen=True):
    """One credential that is asked for (OpenID4VP §6.1)."""

    id: Id
    format: str
    meta: SdJwtVcMeta
    multiple: bool = False
    trusted_authorities: Annotated[list[TrustedAuthority], Meta(min_length=1)] | None = None
    claims: Annotated[list[ClaimsQuery], Meta(min_length=1)] | None = None
    claim_sets: Annotated[list[list[Id]], Meta(min_length=1)] | None = None


class CredentialSetQuery(Struct, frozen=True):
    """Combinations of credentials of which one will do (OpenID4VP §6.2)."""

    options: Annotated[list[Annotated[list[Id], Meta(min_length=1)]], Meta(min_length=1)]
    required: bool = True


class Query(Struct, frozen=True):
    """A query as it is sent. What a tenant may ask for is narrower: `app.document.dcql`."""

    credentials: Annotated[list[CredentialQuery], Meta(min_length=1)]
    credential_sets: Annotated[list[CredentialSetQuery], Meta(min_length=1)] | None = None


def read_query(sent: Any) -> Query:
    """Read the JSON value of a query; members that are not known are ignored (OpenID4VP §6).

    Raises `Malformed` where it breaks a rule of OpenID4VP §6.
    """
    try:
        query = msgspec.convert(sent, Query)
    except msgspec.ValidationError:
        raise Malformed("not a DCQL query") from None
    ids = _distinct(credential.id for credential in query.credentials)
    _check_known(ids, (option for each in query.credential_sets or [] for option in each.options))
    for credential in query.credentials:
        claim_ids = _distinct(claim.id for claim in credential.claims or [] if claim.id is not None)
        _check_known(claim_ids, credential.claim_sets or [])
    return query


def is_of_type(query: CredentialQuery, *, credential_format: str, vct: str) -> bool:
    """Whether a credential is of the format and of one of the types that are asked for."""
    # OpenID4VP §8.6 (DE-05), §B.3.5 (DE-06): a type that says it extends another is not taken for the other.
    return query.format == credential_format and vct in query.meta.vct_values


def is_by_authority(query: CredentialQuery, authority_key_ids: Collection[bytes]) -> bool:
    """Whether one of the authorities that are asked for, if any, is among those of a credential's chain."""
    if query.trusted_authorities is None:
        return True
    # OpenID4VP §6.1.1.1 (DE-13, DE-14): the octets count, and unpadded base64url has one spelling of them.
    found = {base64url.encode(key_id) for key_id in authority_key_ids}
    return any(
        authority.type == "aki" and not found.isdisjoint(authority.values) for authority in query.trusted_authorities
    )


def claims_to_show(query: CredentialQuery, claims: Mapping[str, Any]) -> list[ClaimsPath] | None:
    """Return the paths of the claims that answer a credential query; None where `claims` do not satisfy it."""
    # OpenID4VP §6.4.1 (DE-10): without `claims` nothing that may be withheld is asked for.
    if query.claims is None:
        return []
    found = [claim for claim in query.claims if _is_found(claim, claims)]
    # DE-08: all of them.
    if query.claim_sets is None:
        return [claim.path for claim in found] if len(found) == len(query.claims) else None
    # DE-09: one whole set; the order is the verifier's preference.
    paths = {claim.id: claim.path for claim in found}
    for claim_set in query.claim_sets:
        if all(claim_id in paths for claim_id in claim_set):
            return [paths[claim_id] for claim_id in claim_set]
    return None


def credentials_to_show(query: Query, available: Collection[str]) -> list[str] | None:
    """Return the ids of the credential queries that have to be answered; None where those available are not enough."""
    # OpenID4VP §6.4.2 (DE-01): without sets all of them.
    if query.credential_sets is None:
        ids = [credential.id for credential in query.credentials]
        return ids if all(credential_id in available for credential_id in ids) else None
    # DE-02: one whole option of each set that is required; an optional set may stay unanswered.
    needed: dict[str, None] = {}
    for each in query.credential_sets:
        if each.required:
            whole = (option for option in each.options if all(credential_id in available for credential_id in option))
            option = next(whole, None)
            if option is None:
                return None
            needed.update(dict.fromkeys(option))
    return list(needed)


def _distinct(ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for each in ids:
        if each in found:
            raise Malformed("DCQL query with a repeated id")
        found.add(each)
    return found


def _check_known(ids: Collection[str], sets: Iterable[Collection[str]]) -> None:
    if not all(each in ids for one in sets for each in one):
        raise Malformed("DCQL query with a set of unknown ids")


def _is_found(query: ClaimsQuery, claims: Mapping[str, Any]) -> bool:
    try:
        selected = select(claims, query.path)
    except Malformed:
        return False
    if query.values is None:
        return True
    # OpenID4VP §6.3 (DE-11): type and value exactly, of one of the selected. To Python true is 1, to JSON it is not.
    wanted = {(isinstance(value, bool), value) for value in query.values}
    return any(
        isinstance(element, str | int | float) and (isinstance(element, bool), element) in wanted
        for element in selected
    )
