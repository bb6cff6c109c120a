"""What makes sense in the credential configurations of a tenant document: their names and claims.

Where claims come from is `source_rules`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.document.model import Claim, CredentialConfiguration, FromConstant, TenantDocument
from app.document.part import Display
from app.document.problem import Finding, Path
from app.document_rules.names import choices, repeated
from app.formats import sd_jwt, sd_jwt_vc

RESERVED_SCOPES: Final = frozenset({"openid", "offline_access"})

_VCT: Final = re.compile(r"[\x21-\x22\x24-\x7e]+")


def credentials(document: TenantDocument) -> Iterator[Finding]:
    """Judge every credential configuration."""
    names = list(document.credentials)
    # CIM-21: a scope value says which credential is meant.
    for index in repeated([document.credentials[name].scope for name in names]):
        yield Finding(
            ("credentials", names[index], "scope"),
            "Another credential has this scope.",
            "Give every credential a scope of its own.",
        )
    for name, configuration in document.credentials.items():
        yield from _credential(document, configuration, ("credentials", name))


def _credential(document: TenantDocument, configuration: CredentialConfiguration, path: Path) -> Iterator[Finding]:
    if configuration.scope in RESERVED_SCOPES:
        yield Finding((*path, "scope"), "OpenID Connect has given this scope a meaning.", "Choose another.")
    if not _VCT.fullmatch(configuration.vct) or configuration.vct.startswith("http:"):
        yield Finding(
            (*path, "vct"),
            "This cannot name a credential type.",
            "Use a URN or an https URL, without spaces and fragment.",
        )
    yield from displays(configuration.display, (*path, "display"))
    yield from _claim_paths(configuration.claims, (*path, "claims"))
    sequence = document.sequences.get(configuration.sequence)
    if sequence is None:
        yield Finding(
            (*path, "sequence"),
            "There is no sequence of this name.",
            choices("names under `sequences`", document.sequences),
        )
    for index, claim in enumerate(configuration.claims):
        yield from _claim(claim, (*path, "claims", index))


def _claim_paths(claims: Sequence[Claim], path: Path) -> Iterator[Finding]:
    """CIM-24: no path twice, none within another."""
    seen: dict[tuple[str, ...], int] = {}
    for index, claim in enumerate(claims):
        whole = tuple(claim.path)
        above = [seen[whole[:length]] for length in range(1, len(whole) + 1) if whole[:length] in seen]
        below = [other for known, other in seen.items() if known[: len(whole)] == whole and known != whole]
        if above or below:
            first = (above + below)[0]
            yield Finding(
                (*path, index, "path"),
                f"This claim and claims[{first}] write to the same place.",
                "Give a whole object in one claim, or each of its members in one.",
            )
        seen.setdefault(whole, index)


def _claim(claim: Claim, path: Path) -> Iterator[Finding]:
    # M-24: a claim must not take the place of what binds, dates or hides a credential.
    if claim.path[0] in sd_jwt_vc.RESERVED or not sd_jwt.RESERVED.isdisjoint(claim.path):
        yield Finding((*path, "path"), "This name is reserved for the credential itself.", "Choose another.")
    if isinstance(claim.source, FromConstant):
        if claim.source.value is None:
            yield Finding((*path, "source"), "The constant has no value.", "Give one, or remove the claim.")
        yield from no_reserved_members(claim.source.value, (*path, "source", "value"))
    yield from displays(claim.display, (*path, "display"))


def no_reserved_members(value: Any, path: Path) -> Iterator[Finding]:
    """Refuse values that could be read as digests of hidden claims (M-24)."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in sd_jwt.RESERVED:
                yield Finding((*path, name), "This name is reserved for selective disclosure.", "Choose another.")
            yield from no_reserved_members(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from no_reserved_members(inner, (*path, index))


def displays(displays: Sequence[Display], path: Path) -> Iterator[Finding]:
    """At most one object per language (CIM-23)."""
    for index in repeated([display.locale.lower() for display in displays]):
        yield Finding((*path, index, "locale"), "This language is given twice.", "Keep one entry for each.")
