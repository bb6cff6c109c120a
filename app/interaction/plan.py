"""What a session has to go through: computed once from the requested configurations, pinned at its start.

Pure. The plan depends on the resolved set of configurations alone, never on the endpoint or on how the wallet
named them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from app.document.model import (
    Claim,
    ClaimSource,
    FromConstant,
    FromPresentation,
    FromStep,
    FromUser,
    HolderBindingMode,
    PresentationStep,
    SamePerson,
    Step,
    TenantDocument,
    WebStep,
)
from app.document.presentation import Presentation
from app.interaction.evidence import Evidence, value_at
from app.protocol.refusal import Refusal


class ClaimValue(Struct, frozen=True):
    """One claim of a credential to be issued: where it goes, its value, whether the holder may withhold it."""

    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"]


class HolderBinding(Struct, frozen=True, kw_only=True):
    """How the key of a credential is linked to what was presented for it (attack A-01)."""

    mode: HolderBindingMode
    presented: list["PresentedBy"]


class PresentedBy(Struct, frozen=True, kw_only=True):
    """Whose credential of which type the claims came from, and the key that presented it."""

    step: str
    query: str
    issuer: str
    vct: str
    holder_jkt: str


class PlannedCredential(Struct, frozen=True):
    """One configuration of the request with its claim mapping and its shown name, as they were at the start."""

    configuration_id: str
    name: str
    claims: list[Claim]
    same_person: Literal["unchecked"] | list[SamePerson] | None = None


class Plan(Struct, frozen=True):
    """The pinned plan of one session."""

    steps: list[Step]
    credentials: list[PlannedCredential]
    presentations: dict[str, Presentation] = {}
    """The presentations the steps name. Whom to trust is read from the current revision, by the names here."""
    holder_binding: HolderBindingMode | None = None

    def web_leg_end(self, index: int) -> int:
        """Return the index behind the last of the web steps that begin at `index`: they are one browser visit."""
        while index < len(self.steps) and is_web_step(self.steps[index]):
            index += 1
        return index


def make_plan(document: TenantDocument, configuration_ids: Sequence[str], *, refuse_with: str) -> Plan:
    """Pin the steps and claim mappings of the requested configurations.

    Raises `Refusal(refuse_with)` (`invalid_scope` or `invalid_authorization_details`) where the configurations do
    not share one sequence.
    """
    configurations = {name: document.credentials[name] for name in configuration_ids}
    sequences = {configuration.sequence for configuration in configurations.values()}
    if len(sequences) != 1:
        raise Refusal(refuse_with, "The requested credentials cannot be issued in one session.")
    sequence = document.sequences[sequences.pop()]
    return Plan(
        steps=list(sequence.steps),
        credentials=[
            PlannedCredential(
                configuration_id=name,
                name=configuration.display[0].name,
                claims=configuration.claims,
                same_person=configuration.same_person,
            )
            for name, configuration in configurations.items()
        ],
        presentations={
            step.presentation: document.presentations[step.presentation]
            for step in sequence.steps
            if isinstance(step, PresentationStep)
        },
        holder_binding=sequence.holder_binding,
    )


def is_web_step(step: Step) -> bool:
    """Whether a browser carries this step."""
    return isinstance(step, WebStep)


def collect_claims(
    credential: PlannedCredential, *, user_claims: Mapping[str, Any], evidence: Evidence
) -> list[ClaimValue]:
    """Gather the values of one credential's claims from the person who signed in, the steps and constants.

    A claim whose source has no value is left out unless it is `mandatory`: then `Refusal("access_denied")`.
    """
    values: list[ClaimValue] = []
    for claim in credential.claims:
        found = source_value(claim.source, claim.path, user_claims=user_claims, evidence=evidence)
        if found is not None:
            values.append(ClaimValue(tuple(claim.path), found, claim.disclosure))
        elif claim.mandatory:
            raise Refusal(
                "access_denied",
                "The credential cannot be issued to this person.",
                reason="mandatory claim absent",
            )
    return values


def source_value(
    source: ClaimSource, path: Sequence[str], *, user_claims: Mapping[str, Any], evidence: Evidence
) -> Any:
    """Return the value of a claim's source, None where it has none; `path` is the claim's own."""
    match source:
        case FromConstant(value=value):
            return value
        case FromStep():
            return _at(evidence.results.get(source.step, {}), source.path)
        case FromUser():
            return _at(user_claims, source.path or path)
        case FromPresentation():
            presented = evidence.of(source.step, source.credential)
            return None if presented is None else value_at(presented, source.path or path)


def _at(tree: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(name)
    return tree
