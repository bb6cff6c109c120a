"""Where the claims of a credential come from, and what says that several steps speak of one person."""

from collections.abc import Iterator, Sequence
from typing import Final

from app.document.model import (
    ClaimSource,
    ConfirmStep,
    CredentialConfiguration,
    FromPresentation,
    FromStep,
    FromUser,
    LoginStep,
    PresentationStep,
    SamePerson,
    Step,
    TenantDocument,
)
from app.document.problem import Finding, Path
from app.document_rules.names import choices
from app.document_rules.presentation_rules import covers

STEP_RESULTS: Final[dict[type, frozenset[str]]] = {
    LoginStep: frozenset({"username"}),
    ConfirmStep: frozenset(),
    PresentationStep: frozenset(),
}
"""What a step's results hold, by its document struct; what was presented is another source."""

_Origin = tuple[str, str | None]
"""What vouches for a value: a step and, where it was presented, the credential query."""


def sources(document: TenantDocument) -> Iterator[Finding]:
    """Judge where the claims of every credential come from: the steps of its sequence have to provide them."""
    for name, configuration in document.credentials.items():
        if (sequence := document.sequences.get(configuration.sequence)) is not None:
            path: Path = ("credentials", name)
            for index, claim in enumerate(configuration.claims):
                here = (*path, "claims", index, "source")
                yield from _source(document, claim.source, claim.path, sequence.steps, here)
            yield from _one_person(document, configuration, sequence.steps, path)


def _source(
    document: TenantDocument, source: ClaimSource, claim: Sequence[str], steps: Sequence[Step], path: Path
) -> Iterator[Finding]:
    if isinstance(source, FromUser) and not any(isinstance(step, LoginStep) for step in steps):
        yield Finding(path, "Nobody signs in in this sequence.", "Add a `login` step, or take another source.")
    if not isinstance(source, FromStep | FromPresentation):
        return
    step = next((step for step in steps if step.id == source.step), None)
    if step is None:
        yield Finding((*path, "step"), "The sequence has no such step.", choices("steps", [step.id for step in steps]))
    elif isinstance(source, FromPresentation):
        yield from _presented(document, source, claim, step, path)
    elif len(source.path) != 1 or source.path[0] not in STEP_RESULTS[type(step)]:
        results = [f"[{name}]" for name in sorted(STEP_RESULTS[type(step)])]
        yield Finding((*path, "path"), "The step has no such result.", choices("results of this step", results))


def _presented(
    document: TenantDocument, source: FromPresentation, claim: Sequence[str], step: Step, path: Path
) -> Iterator[Finding]:
    if not isinstance(step, PresentationStep):
        yield Finding((*path, "step"), "Nothing is presented in this step.", "Name a `presentation` step.")
        return
    presentation = document.presentations.get(step.presentation)
    if presentation is None:
        return
    queries = presentation.dcql_query.credentials
    query = next((query for query in queries if query.id == source.credential), None)
    if query is None:
        ids = [query.id for query in queries]
        yield Finding(
            (*path, "credential"), "The step asks for no such credential.", choices("credentials it asks for", ids)
        )
        return
    if query.multiple:
        yield Finding(
            (*path, "credential"),
            "Several credentials may be presented for this query, so it is not clear whose claim this is.",
            "Take `multiple` out of the query.",
        )
    # OpenID4VP §6.4.1 (DE-10, REQ-14): what was not asked for is not used, even if it is presented.
    wanted = source.path or list(claim)
    asked = [entry.path for entry in query.claims or []]
    if wanted and not any(covers(each, wanted) for each in asked):
        yield Finding(
            (*path, "path"),
            "The query does not ask for this claim.",
            choices("claims it asks for", [_spelled(each) for each in asked]),
        )


def _spelled(path: Sequence[str | int | None]) -> str:
    return f"[{', '.join('null' if part is None else str(part) for part in path)}]"


def _one_person(
    document: TenantDocument, configuration: CredentialConfiguration, steps: Sequence[Step], path: Path
) -> Iterator[Finding]:
    """A-18: nothing in the protocols says that whoever goes through two steps is one person."""
    origins = [_origin(claim.source, steps) for claim in configuration.claims]
    known = [origin for origin in origins if origin is not None and origin[0] in {step.id for step in steps}]
    names = list(dict.fromkeys(step for step, _ in known))
    match configuration.same_person:
        case None if len(names) > 1:
            yield Finding(
                path,
                f"`same_person` is missing: the claims come from several steps ({', '.join(names)}).",
                "List pairs of sources whose values must be equal, or write `unchecked` (claims of two people may end"
                " up in one credential). There is no default.",
            )
        case "unchecked" if len(names) < 2:
            yield Finding((*path, "same_person"), "The claims do not come from several steps.", "Leave it out.")
        case list(pairs):
            for index, pair in enumerate(pairs):
                yield from _pair(document, pair, steps, (*path, "same_person", index))
            yield from _unlinked_login(known, pairs, steps, (*path, "same_person"))


def _pair(document: TenantDocument, pair: SamePerson, steps: Sequence[Step], path: Path) -> Iterator[Finding]:
    for index, source in enumerate(pair):
        if source.path is None:
            yield Finding((*path, index), "`path` is missing.", "Say which value is compared.")
        yield from _source(document, source, [], steps, (*path, index))
    first, second = (_origin(source, steps) for source in pair)
    if first == second:
        yield Finding(
            path,
            "Both values come from the same place, so their being equal says nothing.",
            "Compare values of two steps, or of two presented credentials.",
        )


def _unlinked_login(
    origins: Sequence[_Origin], pairs: Sequence[SamePerson], steps: Sequence[Step], path: Path
) -> Iterator[Finding]:
    """Presentations have one holder key or are linked by pairs; the person who signed in has neither without a pair."""
    presented = {origin for origin in origins if origin[1] is not None}
    linked = any(len({isinstance(source, FromPresentation) for source in pair}) == 2 for pair in pairs)
    if presented and len(presented) < len(set(origins)) and not linked:
        yield Finding(
            path,
            "No pair links the person who signs in with what is presented.",
            "Compare a value of the sign-in with a presented one.",
        )


def _origin(source: ClaimSource, steps: Sequence[Step]) -> _Origin | None:
    match source:
        case FromUser():
            return next(((step.id, None) for step in steps if isinstance(step, LoginStep)), None)
        case FromStep():
            return source.step, None
        case FromPresentation():
            return source.step, source.credential
    return None
