"""What is known when a page is shown: whom for, and what will be issued."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from app.document.model import ConfirmStep, LoginStep
from app.interaction.evidence import Evidence
from app.interaction.holder import check_same_person
from app.interaction.lookup import current_client
from app.interaction.plan import Plan, PlannedCredential, collect_claims
from app.protocol.refusal import Refusal
from app.records import BrowserFlow, Session, StoredUser
from app.steps import ShownClaim, ShownCredential, View
from app.storage import TenantStore
from app.tenancy import Tenancy


def page_view(tenancy: Tenancy, store: TenantStore, session: Session, flow: BrowserFlow) -> View:
    """Return what a browser at a web step is shown; values only where the step says so, to who signed in in it."""
    client = current_client(tenancy, session)
    step = session.plan.steps[flow.step_index]
    reveal = isinstance(step, ConfirmStep) and step.show_values and flow.user_id is not None
    user = store.users.by_id(flow.user_id) if reveal and flow.user_id is not None else None
    evidence = session.completed_steps.joined(flow.user_id, flow.results)
    if user is not None and not _is_of(session.plan, evidence, user):
        user = None
    return View(
        wallet=client.name or _reached_at(session.redirect_uri or ""),
        credentials=[_shown(credential, user, evidence) for credential in session.plan.credentials],
        demo_hints=store.users.demo_hints() if isinstance(step, LoginStep) else [],
    )


def _is_of(plan: Plan, evidence: Evidence, user: StoredUser) -> bool:
    """Whether what was presented may be shown to who signed in: it may be somebody else's (A-18)."""
    try:
        check_same_person(plan, evidence, user_claims=user.claims, finished=False)
    except Refusal:
        return False
    return True


def _reached_at(redirect_uri: str) -> str:
    """Return the host of a redirect URI, or its scheme where an app of the device takes it and it has no host."""
    parts = urlsplit(redirect_uri)
    return parts.netloc if parts.scheme in ("http", "https") else parts.scheme


def _shown(credential: PlannedCredential, user: StoredUser | None, evidence: Evidence) -> ShownCredential:
    """Return a credential by the names of its claims, or for a known person by those that have a value."""
    values = _values(credential, user, evidence)
    return ShownCredential(
        name=credential.name,
        claims=[
            ShownClaim(
                name=claim.display[0].name if claim.display else _label(claim.path),
                value=None if values is None else _as_text(values[tuple(claim.path)]),
            )
            for claim in credential.claims
            if values is None or tuple(claim.path) in values
        ],
    )


def _values(
    credential: PlannedCredential, user: StoredUser | None, evidence: Evidence
) -> dict[tuple[str, ...], Any] | None:
    if user is None:
        return None
    try:
        return {c.path: c.value for c in collect_claims(credential, user_claims=user.claims, evidence=evidence)}
    except Refusal:
        # A mandatory claim is absent. The wallet learns it when the person goes on; a page that fails tells nobody.
        return None


def _label(path: Sequence[str]) -> str:
    """Return what a claim nobody named is called: `address`, `street_address` is "Address: street address"."""
    return ": ".join(path).replace("_", " ").capitalize()


def _as_text(value: Any) -> str:
    """Return a claim's value as a person reads it: lists and the parts of objects joined, yes and no for booleans."""
    match value:
        case Mapping():
            return ", ".join(map(_as_text, value.values()))
        case list():
            return ", ".join(map(_as_text, value))
        case bool():
            return "yes" if value else "no"
        case None:
            return "–"
        case _:
            return str(value)
