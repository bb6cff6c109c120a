"""What makes sense in the `presentations` of a tenant document: DCQL queries, and whose credentials are taken."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from app.document.dcql import ClaimsPath, ClaimsQuery, CredentialQuery, DcqlQuery
from app.document.model import FromPresentation, PresentationStep, TenantDocument
from app.document.presentation import Presentation
from app.document.problem import Finding, Path
from app.document_rules.names import choices, repeated
from app.formats import sd_jwt, sd_jwt_vc
from app.protocol import base64url

_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2}){16,}")


def presentations(document: TenantDocument) -> Iterator[Finding]:
    """Judge every presentation."""
    used = {
        step.presentation
        for sequence in document.sequences.values()
        for step in sequence.steps
        if isinstance(step, PresentationStep)
    }
    for name, presentation in document.presentations.items():
        path: Path = ("presentations", name)
        yield from _trusted(document, presentation, (*path, "trust"))
        yield from _query(presentation.dcql_query, (*path, "dcql_query"))
        if name in used:
            yield from _needless_claims(document, name, (*path, "dcql_query", "credentials"))
        else:
            yield Finding(
                path,
                "No step asks for this presentation.",
                "Remove it, or name it in a `presentation` step.",
                "warning",
            )


def covers(asked: ClaimsPath, wanted: ClaimsPath) -> bool:
    """Whether what is asked for includes what is wanted: the same claim, or one below it."""
    return len(asked) <= len(wanted) and all(
        above == below or (above is None and isinstance(below, int))
        for above, below in zip(asked, wanted, strict=False)
    )


def _trusted(document: TenantDocument, presentation: Presentation, path: Path) -> Iterator[Finding]:
    # OpenID4VP §6.1.1: "Verifiers must verify that the issuer of a received presentation is trusted on their own".
    queries = [query.id for query in presentation.dcql_query.credentials]
    for query in queries:
        if query not in presentation.trust:
            yield Finding(
                path,
                f"Nobody is trusted to have issued `{query}`.",
                f"Add `{query}: [NAME, …]`. {choices('names under `trust`', document.trust)}",
            )
    for query, names in presentation.trust.items():
        if query not in queries:
            yield Finding(
                (*path, query), "The query has no credential of this id.", choices("credentials of the query", queries)
            )
        for index, name in enumerate(names):
            if name not in document.trust:
                yield Finding(
                    (*path, query, index),
                    "There is no trust of this name.",
                    choices("names under `trust`", document.trust),
                )
        for index in repeated(names):
            yield Finding((*path, query, index), "This name is given twice.", "Keep one of them.")


def _query(query: DcqlQuery, path: Path) -> Iterator[Finding]:
    ids = [credential.id for credential in query.credentials]
    # OpenID4VP §6.1 (DQ-02): "the same id MUST NOT be present more than once".
    for index in repeated(ids):
        yield Finding((*path, "credentials", index, "id"), "Another credential has this id.", "Give each its own.")
    for index, credential in enumerate(query.credentials):
        yield from _credential(credential, (*path, "credentials", index))
    if query.credential_sets is None:
        return
    sets: Path = (*path, "credential_sets")
    for position, credential_set in enumerate(query.credential_sets):
        # OpenID4VP §6.2 (DQ-08)
        for index, option in enumerate(credential_set.options):
            yield from _unknown(option, ids, (*sets, position, "options", index), "credential")
    if not any(credential_set.required for credential_set in query.credential_sets):
        # OpenID4VP §6.4.2: it could be answered with nothing.
        yield Finding(sets, "Every set is optional, so presenting nothing would do.", "Make one of them required.")
    named = {name for each in query.credential_sets for option in each.options for name in option}
    for index, name in enumerate(ids):
        if name not in named:
            yield Finding(
                (*path, "credentials", index),
                "No credential set names this credential, so it is never asked for.",
                "Remove it, or name it in a set.",
                "warning",
            )


def _credential(query: CredentialQuery, path: Path) -> Iterator[Finding]:
    if not query.require_cryptographic_holder_binding:
        # A-10, DQ-16, DQ-17: what is presented decides who gets a credential.
        yield Finding(
            (*path, "require_cryptographic_holder_binding"),
            "Without holder binding whoever has a copy of the credential could present it.",
            "Leave it out: it is `true` unless said otherwise.",
        )
    for position, authority in enumerate(query.trusted_authorities or []):
        for index, value in enumerate(authority.values):
            # OpenID4VP §6.1.1.1 (DQ-11)
            if not _is_key_identifier(value):
                yield Finding(
                    (*path, "trusted_authorities", position, "values", index),
                    "This is no key identifier in base64url.",
                    "Encode the octets of the identifier (not their hexadecimal form) in base64url without padding.",
                )
    yield from _claims(query.claims or [], (*path, "claims"))
    if query.claim_sets is not None:
        yield from _claim_sets(query, path)


def _is_key_identifier(text: str) -> bool:
    try:
        return bool(base64url.decode(text)) and not _HEXADECIMAL.fullmatch(text)
    except ValueError:
        return False


def _claims(claims: Sequence[ClaimsQuery], path: Path) -> Iterator[Finding]:
    for index, claim in enumerate(claims):
        # OpenID4VP §6.1 (DQ-06): "Verifiers MUST NOT point to the same claim more than once in a single query."
        if any(claim.path == other.path for other in claims[:index]):
            yield Finding((*path, index, "path"), "This claim is asked for twice.", "Keep one of them.")
        if claim.path[0] in sd_jwt_vc.NEVER_DISCLOSABLE:
            # DQ-13
            yield Finding(
                (*path, index, "path"),
                "This is part of every presentation and cannot be asked for.",
                "Leave it out: type, issuer, validity and holder key are judged anyway.",
            )
        elif not sd_jwt.RESERVED.isdisjoint(claim.path):
            yield Finding((*path, index, "path"), "No claim can have this name.", "Ask for the claim itself.")
    ids = [claim.id or f"[{index}]" for index, claim in enumerate(claims)]
    # OpenID4VP §6.3 (DQ-06)
    for index in repeated(ids):
        yield Finding((*path, index, "id"), "Another claim has this id.", "Give each its own.")


def _claim_sets(query: CredentialQuery, path: Path) -> Iterator[Finding]:
    if query.claims is None:
        # OpenID4VP §6.4.1 (DQ-07): "claim_sets MUST NOT be present if claims is absent."
        yield Finding(
            (*path, "claim_sets"), "There are no claims to choose from.", "List them under `claims`, or leave it out."
        )
        return
    # OpenID4VP §6.3 (DQ-07): "REQUIRED if claim_sets is present".
    for index, claim in enumerate(query.claims):
        if claim.id is None:
            yield Finding((*path, "claims", index), "`id` is missing.", "`claim_sets` choose among claims by their id.")
    ids = [claim.id for claim in query.claims if claim.id is not None]
    for index, claim_set in enumerate(query.claim_sets or []):
        yield from _unknown(claim_set, ids, (*path, "claim_sets", index), "claim")


def _unknown(names: Sequence[str], known: Sequence[str], path: Path, kind: str) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name not in known:
            yield Finding((*path, index), f"There is no {kind} of this id.", choices(f"{kind}s with an id", known))


def _needless_claims(document: TenantDocument, name: str, path: Path) -> Iterator[Finding]:
    """Tell what is asked for and taken by no credential (REQ-14); what must have a value is asked for to be judged."""
    taken = {(source.credential, tuple(wanted)) for source, wanted in _takers(document, name)}
    for position, query in enumerate(document.presentations[name].dcql_query.credentials):
        for index, claim in enumerate(query.claims or []):
            needed = claim.values is not None or any(
                credential == query.id and covers(claim.path, list(wanted)) for credential, wanted in taken
            )
            if not needed:
                yield Finding(
                    (*path, position, "claims", index),
                    "No credential takes this claim.",
                    "Ask only for what is needed, or say which `values` it must have.",
                    "warning",
                )


def _takers(document: TenantDocument, name: str) -> Iterator[tuple[FromPresentation, ClaimsPath]]:
    """Yield every source that takes a claim of this presentation, with the path it takes."""
    for configuration in document.credentials.values():
        sequence = document.sequences.get(configuration.sequence)
        steps = {
            step.id
            for step in (sequence.steps if sequence else [])
            if isinstance(step, PresentationStep) and step.presentation == name
        }
        sources = [(claim.source, claim.path) for claim in configuration.claims]
        if isinstance(configuration.same_person, list):
            sources += [(source, []) for pair in configuration.same_person for source in pair]
        for source, path in sources:
            if isinstance(source, FromPresentation) and source.step in steps:
                yield source, source.path or list(path)
