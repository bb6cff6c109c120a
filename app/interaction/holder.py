"""Whose claims and whose key: that steps speak of one person, and which key a credential may be bound to. Pure.

Nothing in the protocols links two steps to one person (A-18), or the key that presented to the key that is to hold the
new credential (A-01); the tenant document says which links there must be.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.document.model import FromPresentation, HolderBindingMode, PersonalSource
from app.interaction.evidence import Evidence
from app.interaction.plan import HolderBinding, Plan, PlannedCredential, PresentedBy, source_value
from app.protocol.refusal import Refusal

_Shown = tuple[str, str]
"""What stands behind a claim: step and credential query, or two empty texts for the person who signed in."""


def check_same_person(plan: Plan, evidence: Evidence, *, user_claims: Mapping[str, Any], finished: bool) -> None:
    """Refuse with `access_denied` where what was shown so far is not of one person (A-09, A-18, DE-19).

    Until the session is `finished`, a value that is not known yet is no mismatch.
    """
    for credential in plan.credentials:
        linked: list[tuple[_Shown, _Shown]] = []
        unknown = False
        for first, second in _pairs(credential):
            values = [source_value(each, (), user_claims=user_claims, evidence=evidence) for each in (first, second)]
            if None in values:
                if finished:
                    raise _mismatch("a claim that must be equal is absent")
                unknown = True
                continue
            # As JSON texts: neither 1 and true nor 1 and 1.0 are equal.
            if len({msgspec.json.encode(value, order="sorted") for value in values}) != 1:
                raise _mismatch("claims that must be equal differ")
            linked.append((_behind(first), _behind(second)))
        # A link that is still to come may join what does not hang together yet.
        if not unknown and not _are_one(evidence, linked):
            raise _mismatch("presented by different keys")


def _pairs(credential: PlannedCredential) -> Iterator[tuple[PersonalSource, PersonalSource]]:
    if isinstance(credential.same_person, list):
        yield from ((first, second) for first, second in credential.same_person)


def _behind(source: PersonalSource) -> _Shown:
    return (source.step, source.credential) if isinstance(source, FromPresentation) else ("", "")


def _are_one(evidence: Evidence, linked: list[tuple[_Shown, _Shown]]) -> bool:
    """Whether all presentations hang together: by one holder key, or by claims that were found equal."""
    shown: set[tuple[_Shown, str]] = {((each.step, each.query), each.holder_jkt) for each in evidence.presented}
    if len({jkt for _, jkt in shown}) <= 1:
        return True
    # Where one query was answered by several keys, a link to it would say nothing of whose it is.
    if len({place for place, _ in shown}) < len(shown):
        return False
    reached = {next(iter(shown))[0]}
    while True:
        keys = {jkt for place, jkt in shown if place in reached}
        further = {place for place, jkt in shown if jkt in keys}
        further |= {place for pair in linked if reached & set(pair) for place in pair}
        if further <= reached:
            return {place for place, _ in shown} <= reached
        reached |= further


def _mismatch(reason: str) -> Refusal:
    return Refusal("access_denied", "The credential cannot be issued to this person.", reason=reason)


def holder_binding(plan: Plan, credential: PlannedCredential, evidence: Evidence) -> HolderBinding | None:
    """Return what links a credential to the keys that presented for it; None where nothing was presented.

    For it presented whoever showed one of its claims; where nobody did, everybody.
    """
    if plan.holder_binding is None or not evidence.presented:
        return None
    sources = {
        (claim.source.step, claim.source.credential)
        for claim in credential.claims
        if isinstance(claim.source, FromPresentation)
    } & {(each.step, each.query) for each in evidence.presented}
    return HolderBinding(
        mode=plan.holder_binding,
        presented=[
            PresentedBy(step=each.step, query=each.query, issuer=each.issuer, vct=each.vct, holder_jkt=each.holder_jkt)
            for each in evidence.presented
            if not sources or (each.step, each.query) in sources
        ],
    )


def check_holder_key(binding: HolderBinding | None, jkt: str, *, current_mode: HolderBindingMode | None) -> None:
    """Refuse with `invalid_proof` a key that the credential may not be bound to (A-01..A-06).

    `current_mode` is what the current revision demands: it counts where it is stricter than what was pinned.
    """
    modes = {binding.mode if binding is not None else None, current_mode}
    if "same_key" not in modes:
        return
    if binding is None or jkt not in {each.holder_jkt for each in binding.presented}:
        raise Refusal(
            "invalid_proof",
            "The credential must be bound to the key that presented.",
            reason="holder_binding_mismatch",
        )
