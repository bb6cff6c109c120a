"""How a session enters a step: with a new `auth_session`, and a new nonce or a new `request_uri`."""

import msgspec

from app.document.model import PresentationStep
from app.interaction.evidence import Evidence
from app.interaction.machine import Status
from app.interaction.needed import NeedBrowser, NeedPresentation
from app.protocol.digest import digest
from app.records import PresentationData, Session
from app.tenancy import Tenancy


def enter(
    tenancy: Tenancy, session: Session, *, step_index: int, evidence: Evidence
) -> tuple[Session, NeedPresentation | NeedBrowser]:
    """Return the session as it waits for a step, and what it asks the wallet for."""
    step = session.plan.steps[step_index]
    # OpenID4VCI 1.1 §6.2.1 (IA-11, IA-37): another handle in every answer, which also makes the earlier one worthless.
    auth_session = tenancy.entropy.token()
    waiting = msgspec.structs.replace(
        session,
        status=Status.PENDING,
        step_index=step_index,
        completed_steps=evidence,
        auth_session_digest=digest(auth_session),
        presentation_data=None,
        request_uri_digest=None,
        request_uri_expires_at=None,
    )
    if isinstance(step, PresentationStep):
        # OpenID4VP §14.1.2 (REQ-01, REQ-04, IA-18): a nonce of this step alone.
        nonce = tenancy.entropy.token()
        query = session.plan.presentations[step.presentation].dcql_query
        waiting = msgspec.structs.replace(waiting, presentation_data=PresentationData(nonce))
        return waiting, NeedPresentation(auth_session, nonce, query)
    handle, lifetime = tenancy.entropy.token(), tenancy.document.lifetimes.request_uri
    waiting = msgspec.structs.replace(
        waiting, request_uri_digest=digest(handle), request_uri_expires_at=tenancy.clock.now() + lifetime
    )
    return waiting, NeedBrowser(auth_session, handle, lifetime)
