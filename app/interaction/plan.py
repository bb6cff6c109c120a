"""What a session has to go through: computed once from the requested configurations, pinned at its start.

Pure. The plan depends on the resolved set of configurations alone, never on the endpoint or on how the wallet
named them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from app.document.model import Claim, ConfirmStep, FromConstant, FromStep, LoginStep, Step, TenantDocument
from app.protocol.refusal import Refusal


class ClaimValue(Struct, frozen=True):
    """One claim of a credential to be issued: where it goes, its value, whether the holder may withhold it."""

    path: tuple[str, ...]
    value: Any
    disclosure: Literal["selective", "always"]


class PlannedCredential(Struct, frozen=True):
    """One configuration of the request with its claim mapping and its shown name, as they were at the start."""

    configuration_id: str
    name: str
    claims: list[Claim]


class Plan(Struct, frozen=True):
    """The pinned plan of one session."""

    steps: list[Step]
    credentials: list[PlannedCredential]


def make_plan(document: TenantDocument, configuration_ids: Sequence[str], *, refuse_with: str) -> Plan:
    """Pin the steps and claim mappings of the requested configurations.

    Raises `Refusal(refuse_with)` (`invalid_scope` or `invalid_authorization_details`) where the configurations do
    not share one sequence.
    """
    configurations = {name: document.credentials[name] for name in configuration_ids}
    sequences = {configuration.sequence for configuration in configurations.values()}
    if len(sequences) != 1:
        raise Refusal(refuse_with, "The requested credentials cannot be issued in one session.")
    return Plan(
        steps=list(document.sequences[sequences.pop()].steps),
        credentials=[
            PlannedCredential(configuration_id=name, name=configuration.display[0].name, claims=configuration.claims)
            for name, configuration in configurations.items()
        ],
    )


def is_web_step(step: Step) -> bool:
    """Whether a browser carries this step."""
    return isinstance(step, LoginStep | ConfirmStep)


def collect_claims(
    credential: PlannedCredential,
    *,
    user_claims: Mapping[str, Any],
    step_results: Mapping[str, Mapping[str, Any]],
) -> list[ClaimValue]:
    """Gather the values of one credential's claims from the person who signed in, the steps and constants.

    A claim whose source has no value is left out unless it is `mandatory`: then `Refusal("access_denied")`.
    """
    values: list[ClaimValue] = []
    for claim in credential.claims:
        match claim.source:
            case FromConstant(value=value):
                found = value
            case FromStep(step=step, path=path):
                found = _at(step_results.get(step, {}), path)
            case source:
                found = _at(user_claims, source.path or claim.path)
        if found is not None:
            values.append(ClaimValue(tuple(claim.path), found, claim.disclosure))
        elif claim.mandatory:
            raise Refusal(
                "access_denied",
                "The credential cannot be issued to this person.",
                reason="mandatory claim absent",
            )
    return values


def _at(tree: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(name)
    return tree
