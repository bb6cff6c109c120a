"""The step `presentation`: the wallet presents credentials; what the plan uses of them is kept, nothing else."""

from collections.abc import Iterator, Mapping, Sequence

from app.document.dcql import PathComponent
from app.document.model import FromPresentation, PresentationStep
from app.document.presentation import Trust
from app.interaction.evidence import Presented, PresentedValue
from app.interaction.plan import Plan
from app.protocol.claims_path import select
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
    trust: Mapping[str, Trust],
    verifiers: PresentationVerifiers,
    expected: Expected,
) -> list[Presented]:
    """Verify everything that was presented and return what the plan uses of it. Raises `Refusal("access_denied")`.

    Pure, and the only place where presentations become evidence. `trust` is the current revision's.
    """
    verified = verify_vp_token(
        vp_token, plan.presentations[step.presentation], trust=trust, verifiers=verifiers, expected=expected
    )
    return [
        Presented(
            step=step.id,
            query=query,
            issuer=each.issuer,
            vct=each.vct,
            holder_jkt=each.holder_jkt,
            values=_values(each, _used_paths(plan, step, query)),
        )
        for query, presentations in verified.items()
        for each in presentations
    ]


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
        try:
            found = select(presentation.claims, path)
        except Malformed:
            continue
        # OpenID4VP §7.1: a path through all elements of an array selects several values, every other path one.
        values[tuple(path)] = PresentedValue(list(path), found if None in path else found[0])
    return list(values.values())
