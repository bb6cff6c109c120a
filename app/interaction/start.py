"""Begins sessions: by a push (dialect `web`) or by an initial request at the interactive endpoint."""

from typing import Any

import msgspec
from msgspec import Struct

from app.document.model import Step
from app.interaction.dialects import iae, web
from app.interaction.evidence import Evidence
from app.interaction.machine import Status
from app.interaction.needed import NeedBrowser, NeedPresentation
from app.interaction.next_step import enter
from app.interaction.plan import Plan, is_web_step, make_plan
from app.interaction.single_use import spend_issuer_state, spend_proof
from app.protocol.client_auth import AuthenticatedClient
from app.protocol.digest import digest
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.request import AuthorizationRequest
from app.records import Session
from app.storage import TenantStore
from app.tenancy import Tenancy


class Pushed(Struct, frozen=True):
    """A session was begun by a push."""

    handle: str
    expires_in: int


async def push(
    tenancy: Tenancy, client: AuthenticatedClient, request: AuthorizationRequest, proof: DpopProof | None
) -> Pushed:
    """Begin a session of dialect `web` (RFC 9126 §2). Raises `Refusal`; then nothing is stored."""
    plan = _plan(tenancy, request)
    # B-10: there is no way around a step by another endpoint.
    if not all(is_web_step(step) for step in plan.steps):
        raise Refusal("invalid_request", "This credential cannot be authorized by a browser alone.")
    _require_redirect_uri(request)
    session, needed = enter(
        tenancy, _session(tenancy, client, request, plan, dialect=web.NAME), step_index=0, evidence=Evidence()
    )
    assert isinstance(needed, NeedBrowser)  # noqa: S101  every step is one of the browser's
    # A push is answered by its request_uri alone: there is no handle to go on with.
    await _begin(tenancy, msgspec.structs.replace(session, auth_session_digest=None), request, proof)
    return Pushed(needed.request_uri_handle, needed.expires_in)


async def begin_interactive(
    tenancy: Tenancy,
    client: AuthenticatedClient,
    request: AuthorizationRequest,
    proof: DpopProof | None,
    supported: iae.InteractionTypes,
) -> NeedPresentation | NeedBrowser:
    """Begin a session of dialect `iae` and ask for its first step (OpenID4VCI 1.1 §6.1.1).

    Raises `Refusal`; then nothing is stored.
    """
    plan = _plan(tenancy, request)
    # OpenID4VCI 1.1 §6.2.3 (IA-03, B-14): judged over the whole plan, before there is a session.
    iae.check_supported(supported, needed=[_interaction(step) for step in plan.steps])
    if any(is_web_step(step) for step in plan.steps):
        _require_redirect_uri(request)
    session = msgspec.structs.replace(
        _session(tenancy, client, request, plan, dialect=iae.NAME),
        interaction_types_supported=supported.as_listed(),
    )
    session, needed = enter(tenancy, session, step_index=0, evidence=Evidence())
    await _begin(tenancy, session, request, proof)
    return needed


def _plan(tenancy: Tenancy, request: AuthorizationRequest) -> Plan:
    return make_plan(
        tenancy.document,
        request.configuration_ids,
        refuse_with="invalid_scope" if request.authorization_details is None else "invalid_authorization_details",
    )


def _interaction(step: Step) -> iae.Interaction:
    return "browser" if is_web_step(step) else "presentation"


def _require_redirect_uri(request: AuthorizationRequest) -> None:
    # RFC 9126 §2.3 (PAR-18), OpenID4VCI 1.1 §6.2.1.2 (IA-34): a browser has to be sent back somewhere.
    if request.redirect_uri is None:
        raise Refusal("invalid_request", "redirect_uri is missing.")


def _session(
    tenancy: Tenancy, client: AuthenticatedClient, request: AuthorizationRequest, plan: Plan, *, dialect: str
) -> Session:
    now = tenancy.clock.now()
    return Session(
        session_id=tenancy.entropy.identifier(),
        dialect=dialect,
        client_id=client.client_id,
        redirect_uri=request.redirect_uri,
        scope=request.granted_scope,
        state=request.state,
        issuer_state_digest=digest(request.issuer_state) if request.issuer_state else None,
        code_challenge=request.code_challenge,
        code_challenge_method=request.code_challenge_method,
        authorization_details=_as_kept(request.authorization_details),
        dpop_jkt=request.dpop_jkt,
        status=Status.PENDING,
        request_uri_digest=None,
        request_uri_expires_at=None,
        plan=plan,
        created_at=now,
        expires_at=now + tenancy.document.lifetimes.session,
    )


def _as_kept(details: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return of each entry what names the credential: the rest was judged, is not used, and may be of any size."""
    kept = ("type", "credential_configuration_id")
    return None if details is None else [{name: entry[name] for name in kept} for entry in details]


async def _begin(tenancy: Tenancy, session: Session, request: AuthorizationRequest, proof: DpopProof | None) -> None:
    def begin(store: TenantStore) -> None:
        spend_proof(store, proof)
        spend_issuer_state(tenancy, store, request.issuer_state)
        store.sessions.create(session)
        store.audit.append(
            tenancy.event("session_begun", session.session_id, client=session.client_id, dialect=session.dialect)
        )

    await tenancy.write(begin)
