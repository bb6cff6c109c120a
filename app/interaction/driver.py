"""Drives a session: begins it, and ends it with a code or without. Dialects and the browser leg build on this.

Every write is one transaction guarded by what was judged; a refusal has changed nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from app.interaction.machine import TERMINAL, Event, Status, move
from app.interaction.plan import collect_claims, is_web_step, make_plan
from app.protocol import offer
from app.protocol.claims import CLOCK_SKEW
from app.protocol.client_auth import AuthenticatedClient, recognize
from app.protocol.digest import digest
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.request import AuthorizationRequest, check_redirect_uri, enabled_configuration
from app.records import Authorization, AuthorizationCode, GrantedCredential, Session, StoredUser
from app.storage import TenantStore
from app.tenancy import Tenancy

_GONE: Final = "This request is unknown, has expired, or was finished before. Please start again in your wallet."


class Pushed(Struct, frozen=True):
    """A session was begun by a push."""

    handle: str
    expires_in: int


async def push(
    tenancy: Tenancy, client: AuthenticatedClient, request: AuthorizationRequest, proof: DpopProof | None
) -> Pushed:
    """Begin a session of dialect `web` (RFC 9126 §2). Raises `Refusal`; then nothing is stored."""
    plan = make_plan(
        tenancy.document,
        request.configuration_ids,
        refuse_with="invalid_scope" if request.authorization_details is None else "invalid_authorization_details",
    )
    if not all(is_web_step(step) for step in plan.steps):
        raise Refusal("invalid_request", "This credential cannot be authorized by a browser alone.")
    now, lifetimes = tenancy.clock.now(), tenancy.document.lifetimes
    handle = tenancy.entropy.token()
    session = Session(
        session_id=tenancy.entropy.identifier(),
        dialect="web",
        client_id=client.client_id,
        redirect_uri=request.redirect_uri,
        scope=request.granted_scope,
        state=request.state,
        issuer_state_digest=digest(request.issuer_state) if request.issuer_state else None,
        code_challenge=request.code_challenge,
        code_challenge_method=request.code_challenge_method,
        authorization_details=request.authorization_details,
        dpop_jkt=request.dpop_jkt,
        status=Status.PENDING,
        request_uri_digest=digest(handle),
        request_uri_expires_at=now + lifetimes.request_uri,
        plan=plan,
        created_at=now,
        expires_at=now + lifetimes.session,
    )

    def begin(store: TenantStore) -> None:
        if proof is not None:
            spend_proof(store, proof)
        if request.issuer_state is not None:
            _spend_issuer_state(tenancy, store, request.issuer_state)
        store.sessions.create(session)
        store.audit.append(tenancy.event("session_begun", session.session_id, client=client.client_id))

    await tenancy.write(begin)
    return Pushed(handle, lifetimes.request_uri)


def spend_proof(store: TenantStore, proof: DpopProof) -> None:
    """Spend a DPoP proof's `jti` (RFC 9449 §11.1, DP-13, D-01); per key, so nobody burns another's."""
    if not store.spent.spend("dpop_jti", f"{proof.jkt}.{proof.jti}", expires_at=proof.jti_expires_at):
        raise Refusal("invalid_dpop_proof", "The DPoP proof was used before.")


def _spend_issuer_state(tenancy: Tenancy, store: TenantStore, issuer_state: str) -> None:
    # OpenID4VCI §5.1.3 (OFR-13, L-28): one of our offers, of this tenant, once; it carries no rights.
    lifetime = offer.ISSUER_STATE_LIFETIME
    live = tenancy.is_live_nonce("issuer_state", issuer_state, lifetime=lifetime)
    if not live or not store.spent.spend(
        "issuer_state", issuer_state, expires_at=tenancy.clock.now() + lifetime + CLOCK_SKEW
    ):
        raise Refusal("invalid_request", "This offer (issuer_state) is not of this issuer, has expired, or was used.")


def session_gone(reason: str) -> Refusal:
    """Return the uniform refusal of a session that cannot go on."""
    return Refusal("invalid_request", _GONE, reason=reason)


def live_session(tenancy: Tenancy, store: TenantStore, handle: str) -> Session:
    """Return the session of a `request_uri` handle; raises `session_gone` for unknown, expired and finished ones."""
    session = store.sessions.by_request_uri(digest(handle))
    if session is None or session.status in TERMINAL or session.expires_at <= tenancy.clock.now():
        raise session_gone("request_uri unknown" if session is None else f"session {session.status}")
    return session


def current_client(tenancy: Tenancy, store: TenantStore, session: Session) -> AuthenticatedClient:
    """Judge the client by the current revision (PAR-17); redirecting is unsafe where it no longer holds."""
    registered = store.clients.by_id(session.client_id)
    try:
        client = recognize(session.client_id, registered=registered, clients=tenancy.document.clients)
        check_redirect_uri(session.redirect_uri, client, document=tenancy.document)
    except Refusal as refusal:
        raise session_gone(refusal.reason) from None
    return client


def authorize(
    tenancy: Tenancy,
    session: Session,
    user: StoredUser | None,
    user_id: str | None,
    results: Mapping[str, Mapping[str, Any]],
) -> Authorization:
    """Return what the finished session grants; raises `Refusal("access_denied")` where the current revision forbids."""
    if user_id is not None and (user is None or not user.active):
        raise Refusal("access_denied", "This person can no longer sign in.", reason="user inactive")
    granted: list[GrantedCredential] = []
    for credential in session.plan.credentials:
        if enabled_configuration(tenancy.document, credential.configuration_id) is None:
            raise Refusal("access_denied", "This credential is no longer issued.", reason="configuration disabled")
        granted.append(
            GrantedCredential(
                configuration_id=credential.configuration_id,
                credential_identifier=None,
                claims=collect_claims(credential, user_claims=user.claims if user else {}, step_results=results),
            )
        )
    if session.authorization_details is None:
        return Authorization(scope=session.scope, authorization_details=None, credentials=granted)
    return authorization_by_identifiers(tenancy, session.scope, granted)


def authorization_by_identifiers(
    tenancy: Tenancy, scope: str | None, credentials: Sequence[GrantedCredential]
) -> Authorization:
    """Return the authorization of a wallet that used `authorization_details` (OpenID4VCI §6.2, TAD-01, TAD-02).

    Every credential of it then has an identifier, those asked for by scope too; one that has it keeps it.
    """
    identified = [
        msgspec.structs.replace(
            credential,
            credential_identifier=credential.credential_identifier
            or f"{credential.configuration_id}-{tenancy.entropy.identifier()}",
        )
        for credential in credentials
    ]
    return Authorization(
        scope=scope,
        authorization_details=[
            {
                "type": "openid_credential",
                "credential_configuration_id": credential.configuration_id,
                "credential_identifiers": [credential.credential_identifier],
            }
            for credential in identified
        ],
        credentials=identified,
    )


def mint_code(
    tenancy: Tenancy,
    store: TenantStore,
    session: Session,
    authorization: Authorization,
    user_id: str | None,
    code: str,
    code_id: str,
) -> None:
    """Move the session to its end and store the code, guarded by the status the session was read with."""
    now = tenancy.clock.now()
    status = session.status
    for event in (Event.WEB_STEPS_COMPLETED, Event.LAST_STEP_ACCEPTED, Event.CODE_MINTED):
        status = move(status, event)
    # Flows before sessions, as everywhere: two transactions never wait for each other.
    store.browser_flows.end_all(session.session_id)
    # C-05: the first browser to finish wins; the other finds zero rows here.
    if not store.sessions.advance(
        session, status=status, step_index=len(session.plan.steps), completed_steps={}, now=now
    ):
        raise session_gone("another browser finished first")
    store.codes.create(
        AuthorizationCode(
            code_digest=digest(code),
            code_id=code_id,
            session_id=session.session_id,
            client_id=session.client_id,
            redirect_uri=session.redirect_uri,
            delivered="redirect",
            scope=session.scope,
            code_challenge=session.code_challenge,
            code_challenge_method=session.code_challenge_method,
            dpop_jkt=session.dpop_jkt,
            user_id=user_id,
            authorization=authorization,
            issued_at=now,
            expires_at=now + tenancy.document.lifetimes.authorization_code,
        )
    )
    store.audit.append(tenancy.event("code_issued", session.session_id, code=code_id))


def fail_session(tenancy: Tenancy, store: TenantStore, session: Session, reason: str) -> None:
    """Fail a session."""
    store.browser_flows.end_all(session.session_id)
    if not store.sessions.advance(
        session,
        status=move(session.status, Event.REFUSED),
        step_index=session.step_index,
        completed_steps={},
        now=tenancy.clock.now(),
    ):
        raise session_gone("another browser finished first")
    store.audit.append(tenancy.event("session_failed", session.session_id, reason=reason))
