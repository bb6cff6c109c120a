"""What makes sense in the sequences of a tenant document: the order of steps, and the link to the presented key."""

from collections.abc import Iterator, Sequence

from app.document.model import (
    ConfirmStep,
    FromPresentation,
    LoginStep,
    PresentationStep,
    Step,
    TenantDocument,
    WebStep,
)
from app.document.problem import Finding, Path
from app.document_rules.names import choices, repeated


def sequences(document: TenantDocument) -> Iterator[Finding]:
    """Judge every sequence."""
    used = {configuration.sequence for configuration in document.credentials.values()}
    for name, sequence in document.sequences.items():
        path: Path = ("sequences", name)
        if name not in used:
            yield Finding(
                path, "No credential uses this sequence.", "Remove it, or name it in a credential.", "warning"
            )
        yield from _steps(document, sequence.steps, (*path, "steps"))
        yield from _holder_binding(document, name, path)
    steps = [step for sequence in document.sequences.values() for step in sequence.steps]
    if document.issuer.origin is None and any(isinstance(step, PresentationStep) for step in steps):
        # The audience of a presentation is an origin (OpenID4VCI 1.1 §6.2.1.1), which path-based tenants share (M-05).
        yield Finding(
            ("issuer", "origin"),
            "Presentations have the same audience here as at other tenants of the public URL; nonces tell them apart.",
            "Where that is not enough, give this tenant an origin of its own.",
            "note",
        )


def _steps(document: TenantDocument, steps: Sequence[Step], path: Path) -> Iterator[Finding]:
    for index in repeated([step.id for step in steps]):
        yield Finding(
            (*path, index, "id"), f"Another step is called `{steps[index].id}`.", "Give every step an id of its own."
        )
    signed_in = presented = False
    for index, step in enumerate(steps):
        match step:
            case LoginStep():
                if signed_in:
                    # nothing would say that both are the same person.
                    yield Finding((*path, index), "A person signs in twice in one sequence.", "Keep one `login` step.")
                signed_in = True
            case ConfirmStep():
                if not (signed_in or presented):
                    yield Finding(
                        (*path, index),
                        "Nobody has signed in or presented anything when this step asks to confirm.",
                        "Put a `login` or `presentation` step before it.",
                    )
                elif step.show_values and not signed_in:
                    yield Finding(
                        (*path, index, "show_values"),
                        "Values are shown to somebody who signed in, and nobody has.",
                        "Leave it out, or put a `login` step before this one.",
                    )
            case PresentationStep():
                presented = True
                if step.presentation not in document.presentations:
                    yield Finding(
                        (*path, index, "presentation"),
                        "There is no presentation of this name.",
                        choices("names under `presentations`", document.presentations),
                    )
                if index and isinstance(steps[index - 1], WebStep):
                    yield Finding(
                        (*path, index - 1),
                        "After this page the wallet has to present; no published wallet library goes on there.",
                        "Put presentations before pages, or try the wallets you expect.",
                        "warning",
                    )


def _holder_binding(document: TenantDocument, name: str, path: Path) -> Iterator[Finding]:
    sequence = document.sequences[name]
    taking = [
        credential
        for credential, configuration in document.credentials.items()
        if configuration.sequence == name
        and any(isinstance(claim.source, FromPresentation) for claim in configuration.claims)
    ]
    presents = any(isinstance(step, PresentationStep) for step in sequence.steps)
    if sequence.holder_binding is None and taking:
        # nothing in the protocols links the presented key to the one that is to hold the credential.
        yield Finding(
            path,
            f"`holder_binding` is missing: presented claims go into {', '.join(taking)}.",
            "Write `same_key` (the credential goes to the key that presented) or `unlinked` (to any key, so that"
            " whoever is tricked into presenting for somebody else gives them a credential). There is no default.",
        )
    elif sequence.holder_binding is None and presents:
        yield Finding(
            path,
            "Nothing links the credentials to the key of the presentation they are given for.",
            "Write `holder_binding: same_key`, or `unlinked` if that is meant.",
            "warning",
        )
    if sequence.holder_binding is not None and not presents:
        yield Finding(
            (*path, "holder_binding"),
            "Nothing is presented in this sequence.",
            "Leave it out, or add a `presentation` step.",
        )
