"""How sessions end: with a code, or failed. Nothing personal is left with a session that has ended.

Every write is guarded by what the session was judged with; whoever comes second finds zero rows and changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from app.interaction.evidence import Evidence, Trusted
from app.interaction.holder import check_same_person, holder_binding
from app.interaction.lookup import session_gone
from app.interaction.machine import Event, Status, move
from app.interaction.plan import collect_claims, is_web_step
from app.interaction.presented import is_still_trusted
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.protocol.request import enabled_configuration
from app.records import Authorization, AuthorizationCode, GrantedCredential, Session
from app.storage import TenantStore
from app.tenancy import Tenancy


def complete(
    tenancy: Tenancy,
    store: TenantStore,
    session: Session,
    evidence: Evidence,
    *,
    arrived: Sequence[Event] = (),
    delivered: Literal["redirect", "json"],
) -> str | Refusal:
    """End a session whose last step is done: mint its one code, or fail it where the code cannot be granted.

    `arrived` is what happened to the session since it was read. The refusal is returned, not raised: it is recorded.
    Raises `session_gone` where somebody else moved the session.
    """
    status = move(session.status, *arrived, Event.LAST_STEP_ACCEPTED, Event.CODE_MINTED)
    try:
        authorization = _authorize(tenancy, store, session, evidence)
    except Refusal as refusal:
        fail_session(tenancy, store, session, refusal.reason)
        return refusal
    _end_browser_flows(store, session)
    # C-05, IA-44: the first to finish wins; the other finds zero rows here.
    ended = _ended(session, status, step_index=len(session.plan.steps))
    faster = session_gone("somebody else was faster")
    store.sessions.advance(session, ended, now=tenancy.clock.now(), otherwise=faster)
    return _mint_code(tenancy, store, session, authorization, evidence.user_id, delivered)


def fail_session(tenancy: Tenancy, store: TenantStore, session: Session, reason: str) -> None:
    """Fail a session. Raises `session_gone` where somebody else moved it."""
    _end_browser_flows(store, session)
    failed = _ended(session, move(session.status, Event.REFUSED), step_index=session.step_index)
    faster = session_gone("somebody else was faster")
    store.sessions.advance(session, failed, now=tenancy.clock.now(), otherwise=faster)
    store.audit.append(tenancy.event("session_failed", session.session_id, reason=reason, dialect=session.dialect))


def _end_browser_flows(store: TenantStore, session: Session) -> None:
    # Flows before sessions, as everywhere: two transactions never wait for each other.
    if any(is_web_step(step) for step in session.plan.steps):
        store.browser_flows.end_all(session.session_id)


def _ended(session: Session, status: Status, *, step_index: int) -> Session:
    """Return the session as it ends: no handle leads to it any more, and nothing that was shown stays."""
    return msgspec.structs.replace(
        session,
        status=status,
        step_index=step_index,
        auth_session_digest=None,
        request_uri_digest=None,
        request_uri_expires_at=None,
        presentation_data=None,
        completed_steps=Evidence(),
    )


def _authorize(tenancy: Tenancy, store: TenantStore, session: Session, evidence: Evidence) -> Authorization:
    """Return what the finished session grants; raises `Refusal("access_denied")` where the current revision forbids."""
    user = store.users.by_id(evidence.user_id) if evidence.user_id is not None else None
    if evidence.user_id is not None and (user is None or not user.active):
        raise Refusal("access_denied", "This person can no longer sign in.", reason="user inactive")
    user_claims: Mapping[str, Any] = user.claims if user is not None else {}
    check_same_person(session.plan, evidence, user_claims=user_claims, finished=True)
    trusted = [each.trusted for each in evidence.presented]
    if not is_still_trusted(tenancy.document, trusted):
        raise Refusal("access_denied", "The presentation is no longer accepted.", reason="trust changed")
    granted: list[GrantedCredential] = []
    for credential in session.plan.credentials:
        if enabled_configuration(tenancy.document, credential.configuration_id) is None:
            raise Refusal("access_denied", "This credential is no longer issued.", reason="configuration disabled")
        granted.append(
            GrantedCredential(
                configuration_id=credential.configuration_id,
                credential_identifier=None,
                claims=collect_claims(credential, user_claims=user_claims, evidence=evidence),
                holder_binding=holder_binding(session.plan, credential, evidence),
            )
        )
    if session.authorization_details is None:
        return Authorization(scope=session.scope, authorization_details=None, credentials=granted, trusted=trusted)
    return authorization_by_identifiers(tenancy, session.scope, granted, trusted=trusted)


def authorization_by_identifiers(
    tenancy: Tenancy, scope: str | None, credentials: Sequence[GrantedCredential], *, trusted: list[Trusted]
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
        trusted=trusted,
    )


def _mint_code(
    tenancy: Tenancy,
    store: TenantStore,
    session: Session,
    authorization: Authorization,
    user_id: str | None,
    delivered: Literal["redirect", "json"],
) -> str:
    code, code_id, now = tenancy.entropy.token(), tenancy.entropy.identifier(), tenancy.clock.now()
    store.codes.create(
        AuthorizationCode(
            code_digest=digest(code),
            code_id=code_id,
            session_id=session.session_id,
            client_id=session.client_id,
            redirect_uri=session.redirect_uri,
            delivered=delivered,
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
    store.audit.append(tenancy.event("code_issued", session.session_id, code=code_id, dialect=session.dialect))
    return code
