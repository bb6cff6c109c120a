"""Finding the session a request speaks of, and its client as the current revision knows it."""

from typing import Final

from app.interaction.machine import TERMINAL, Status
from app.protocol.client_auth import KnownClient, recognize
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.protocol.request import check_redirect_uri
from app.records import Session
from app.storage import TenantStore
from app.tenancy import Tenancy

_GONE: Final = "This request is unknown, has expired, or was finished before. Please start again in your wallet."


def session_gone(reason: str) -> Refusal:
    """Return the uniform refusal of a session that cannot go on."""
    return Refusal("invalid_request", _GONE, reason=reason)


def session_of_request_uri(tenancy: Tenancy, store: TenantStore, handle: str) -> Session:
    """Return the session whose browser leg a `request_uri` handle names.

    Raises `session_gone` for unknown, expired and finished ones.
    """
    session = store.sessions.by_request_uri(digest(handle))
    if session is None:
        raise session_gone("request_uri unknown")
    _check_running(tenancy, session)
    if session.status != Status.PENDING:
        raise session_gone("browser leg completed")
    return session


def session_of_auth_session(tenancy: Tenancy, store: TenantStore, handle: str) -> Session | None:
    """Return the session whose current handle this is, None where it is nobody's.

    Raises `session_gone` for expired and finished ones.
    """
    session = store.sessions.by_auth_session(digest(handle))
    if session is not None:
        _check_running(tenancy, session)
    return session


def _check_running(tenancy: Tenancy, session: Session) -> None:
    if session.status in TERMINAL or session.expires_at <= tenancy.clock.now():
        raise session_gone(f"session {session.status}")


def current_client(tenancy: Tenancy, session: Session) -> KnownClient:
    """Judge the client by the current revision (PAR-17); redirecting is unsafe where it no longer holds."""
    try:
        client = recognize(session.client_id, tenancy.document.clients)
        if session.redirect_uri is not None:
            check_redirect_uri(session.redirect_uri, client, document=tenancy.document)
    except Refusal as refusal:
        raise session_gone(refusal.reason) from None
    return client
