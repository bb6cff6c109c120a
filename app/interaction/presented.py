"""What comes of a presentation step: presentations become evidence, and stay it as long as their issuers are trusted.

Pure, and the only place where presentations become evidence. What the plan does not use of them is not kept.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from app.document.dcql import PathComponent
from app.document.model import FromPresentation, PresentationStep, TenantDocument
from app.interaction.evidence import Presented, PresentedValue, Trusted
from app.interaction.plan import Plan
from app.protocol import base64url
from app.protocol.claims_path import select
from app.protocol.digest import digest
from app.protocol.presentation import (
    Expected,
    PresentationVerifier,
    VerifiedPresentation,
    VpToken,
    verify_vp_token,
)
from app.protocol.strict_json import Malformed

PresentationVerifiers = Mapping[str, PresentationVerifier]
"""The registry: credential format → what verifies presentations of it."""


def judge(
    plan: Plan,
    step: PresentationStep,
    vp_token: VpToken,
    *,
    document: TenantDocument,
    verifiers: PresentationVerifiers,
    expected: Expected,
) -> list[Presented]:
    """Verify everything that was presented and return what the plan uses of it. Raises `Refusal("access_denied")`.

    The query is the plan's; whom to trust for it is read from `document`, the current revision.
    """
    pinned = plan.presentations[step.presentation]
    trusted = {query: _trusted(document, step.presentation, query, names) for query, names in pinned.trust.items()}
    verified = verify_vp_token(
        vp_token,
        msgspec.structs.replace(pinned, trust={query: each.names for query, each in trusted.items()}),
        trust=document.trust,
        verifiers=verifiers,
        expected=expected,
    )
    return [
        Presented(
            step=step.id,
            query=query,
            issuer=each.issuer,
            vct=each.vct,
            holder_jkt=each.holder_jkt,
            trusted=trusted[query],
            values=_values(each, _used_paths(plan, step, query)),
        )
        for query, presentations in verified.items()
        for each in presentations
    ]


def is_still_trusted(document: TenantDocument, trusted: Sequence[Trusted]) -> bool:
    """Whether the current revision trusts for each query whom it trusted when the presentation was judged.

    A trust that was changed counts as withdrawn: nothing is left of the presentation to judge it by the new one.
    """
    return all(_trusted(document, each.presentation, each.query, each.names) == each for each in trusted)


def _trusted(document: TenantDocument, presentation: str, query: str, names: Sequence[str]) -> Trusted:
    """Return whom the current revision trusts for a credential query, among those that were named before."""
    current = document.presentations.get(presentation)
    named = current.trust.get(query, []) if current is not None else []
    left = [name for name in names if name in named and name in document.trust]
    content = msgspec.json.encode([document.trust[name] for name in left], order="sorted")
    return Trusted(presentation=presentation, query=query, names=left, digest=base64url.encode(digest(content)))


def _used_paths(plan: Plan, step: PresentationStep, query: str) -> Iterator[Sequence[PathComponent]]:
    """Yield the paths of a credential query that claims and same-person rules of the plan name (OUT-03, A-21)."""
    for credential in plan.credentials:
        sources = [(claim.source, claim.path) for claim in credential.claims]
        if isinstance(credential.same_person, list):
            sources += [(source, []) for pair in credential.same_person for source in pair]
        for source, path in sources:
            if isinstance(source, FromPresentation) and (source.step, source.credential) == (step.id, query):
                yield source.path or path


def _values(presentation: VerifiedPresentation, paths: Iterator[Sequence[PathComponent]]) -> list[PresentedValue]:
    values: dict[tuple[PathComponent, ...], PresentedValue] = {}
    for path in paths:
        # DE-10, OUT-03: what was shown besides, or with a value that was not asked for, is nothing that was asked for.
        if not any(list(path[: len(answer)]) == list(answer) for answer in presentation.answers):
            continue
        try:
            found = select(presentation.claims, path)
        except Malformed:
            continue
        # OpenID4VP §7.1: a path through all elements of an array selects several values, every other path one.
        values[tuple(path)] = PresentedValue(list(path), found if None in path else found[0])
    return list(values.values())
