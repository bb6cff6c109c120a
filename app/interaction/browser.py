"""The browser leg of a session: which page a browser is at, what it answers, where it goes in the end.

Several browsers may be on their way through one session, each with results of its own; the first to finish wins.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from app.document.model import Step
from app.interaction import redirect
from app.interaction.completion import complete, fail_session
from app.interaction.dialects import web
from app.interaction.evidence import Evidence
from app.interaction.lookup import current_client, session_gone, session_of_request_uri
from app.interaction.machine import Event, move
from app.interaction.view import page_view
from app.protocol import base64url
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import BrowserFlow, Session
from app.steps import Accepted, Page, Rejected, View, WebStep, WebSteps
from app.storage import TenantStore
from app.tenancy import Tenancy


class OpenPage(Struct, frozen=True):
    """A browser is at a web step."""

    page: Page
    step: Step
    session: Session
    new_cookie: str | None
    """Set where this browser is new to the session."""
    message: str | None = None
    """Why the last try did not do."""


class NextPage(Struct, frozen=True):
    """The answer was taken, or was not for the page this browser is at: it should ask again."""

    path: str


class Finished(Struct, frozen=True):
    """The browser leg is over: where the browser goes."""

    location: str


def flow_name(request_uri: str) -> str:
    """Return what a browser's cookie for this session is called: one per flow, derived so that a reload finds it."""
    return base64url.encode(hashlib.sha256(request_uri.encode()).digest()[:12])


def form_token(cookie: str) -> str:
    """Return what a page's form must carry besides the cookie, so that no other site can post it (C-20)."""
    return base64url.encode(hashlib.sha256(b"form token\0" + cookie.encode()).digest())


class BrowserLeg:
    """Carries browsers through the web steps of sessions."""

    def __init__(self, steps: WebSteps) -> None:
        self._steps = steps

    async def open(self, tenancy: Tenancy, *, client_id: str, request_uri: str, cookie: str | None) -> OpenPage:
        """Return the page a browser is at, letting a new browser in while the `request_uri` lives.

        Raises `Refusal("invalid_request")`, one text for unknown, expired, finished and foreign requests.
        """
        handle = _handle(request_uri)

        def look(store: TenantStore) -> OpenPage | None:
            session, flow = self._look(tenancy, store, client_id, handle, cookie)
            return None if flow is None else self._show(tenancy, store, session, flow, new_cookie=None)

        new_cookie, flow_id = tenancy.entropy.token(), tenancy.entropy.identifier()

        def enter(store: TenantStore) -> OpenPage:
            session, _ = self._look(tenancy, store, client_id, handle, None)
            flow = BrowserFlow(
                flow_id=flow_id,
                session_id=session.session_id,
                cookie_digest=digest(new_cookie),
                step_index=session.step_index,
                created_at=tenancy.clock.now(),
                expires_at=session.expires_at,
            )
            store.browser_flows.create(flow)
            return self._show(tenancy, store, session, flow, new_cookie=new_cookie)

        opened = await tenancy.read(look)
        return opened if opened is not None else await tenancy.write(enter)

    def _look(
        self, tenancy: Tenancy, store: TenantStore, client_id: str, handle: str, cookie: str | None
    ) -> tuple[Session, BrowserFlow | None]:
        """Return the session and this browser's flow; None where it is new and may enter."""
        session = session_of_request_uri(tenancy, store, handle)
        # RFC 9126 §2.2 (PAR-07, C-04): bound to the client that began the session.
        if session.client_id != client_id:
            raise session_gone("request_uri of another client")
        current_client(tenancy, session)
        flow = store.browser_flows.by_cookie(digest(cookie)) if cookie is not None else None
        if flow is not None and _is_in_leg(session, flow):
            return session, flow
        # RFC 9126 §4 (PAR-08): the lifetime bounds the first GET; who came in time may reload and finish (PAR-09).
        if session.request_uri_expires_at is None or session.request_uri_expires_at <= tenancy.clock.now():
            raise session_gone("request_uri expired")
        return session, None

    def _show(
        self, tenancy: Tenancy, store: TenantStore, session: Session, flow: BrowserFlow, *, new_cookie: str | None
    ) -> OpenPage:
        step = session.plan.steps[flow.step_index]
        page = self._steps[type(step)].page(step, page_view(tenancy, store, session, flow))
        return OpenPage(page, step, session, new_cookie)

    async def answer(
        self, tenancy: Tenancy, *, request_uri: str, cookie: str | None, form: Mapping[str, str]
    ) -> OpenPage | NextPage | Finished:
        """Take a submitted page: the next page, the same page with a message, or the end.

        Raises `Refusal("access_denied")` for a form that is not this browser's, `invalid_request` as `open` does.
        """
        handle = _handle(request_uri)

        def find(store: TenantStore) -> tuple[Session, BrowserFlow, View]:
            session, flow = self._find(tenancy, store, handle, cookie, form.get("form_token", ""))
            return session, flow, page_view(tenancy, store, session, flow)

        session, flow, view = await tenancy.read(find)
        step = session.plan.steps[flow.step_index]
        if form.get("step") != step.id:
            # A page sent twice, or left open: show where this browser really is.
            return _next_page(session, request_uri)
        if form.get("action") == "refuse":
            return await self._refuse(tenancy, session)
        handler = self._steps[type(step)]
        outcome = handler.judge(step, await handler.gather(form, tenancy))
        if isinstance(outcome, Rejected):
            return OpenPage(handler.page(step, view), step, session, None, outcome.message)
        results = {**flow.results, step.id: outcome.results}
        user_id = outcome.user_id or flow.user_id
        if flow.step_index + 1 == session.plan.web_leg_end(session.step_index):
            return await self._finish(tenancy, handle, handler, outcome, user_id=user_id, results=results)

        def advance(store: TenantStore) -> None:
            # Zero rows: this page was sent twice, and the other was faster. The next page is the same.
            if store.browser_flows.advance(flow, step_index=flow.step_index + 1, user_id=user_id, results=results):
                handler.record(outcome, store)

        await tenancy.write(advance)
        return _next_page(session, request_uri)

    def _find(
        self, tenancy: Tenancy, store: TenantStore, handle: str, cookie: str | None, token: str
    ) -> tuple[Session, BrowserFlow]:
        # The flow first: whoever finishes a session ends its flows with it, and its absence is no forgery (C-05).
        flow = store.browser_flows.by_cookie(digest(cookie)) if cookie else None
        session = session_of_request_uri(tenancy, store, handle)
        if (
            cookie is None
            or flow is None
            or not _is_in_leg(session, flow)
            or not hmac.compare_digest(form_token(cookie).encode(), token.encode())
        ):
            raise Refusal("access_denied", "This page was not sent by the browser it was shown to.")
        return session, flow

    async def _refuse(self, tenancy: Tenancy, session: Session) -> Finished:
        def fail(store: TenantStore) -> None:
            current_client(tenancy, session)
            fail_session(tenancy, store, session, "refused by the person")

        await tenancy.write(fail)
        return _refused(tenancy, session, "The person refused.")

    async def _finish(
        self,
        tenancy: Tenancy,
        handle: str,
        handler: WebStep,
        outcome: Accepted,
        *,
        user_id: str | None,
        results: Mapping[str, Mapping[str, Any]],
    ) -> Finished:
        """Finish the browser leg: with a code where nothing remains, else with a handle for the wallet to go on by."""

        def finish(store: TenantStore) -> Finished:
            session = session_of_request_uri(tenancy, store, handle)
            current_client(tenancy, session)
            handler.record(outcome, store)
            evidence = session.completed_steps.joined(user_id, results)
            if session.plan.web_leg_end(session.step_index) < len(session.plan.steps):
                return _send_back(tenancy, store, session, evidence)
            code = complete(
                tenancy, store, session, evidence, arrived=[Event.WEB_STEPS_COMPLETED], delivered="redirect"
            )
            if isinstance(code, Refusal):
                return _refused(tenancy, session, code.public)
            return _finished(tenancy, session, code=code)

        return await tenancy.write(finish)


def _is_in_leg(session: Session, flow: BrowserFlow) -> bool:
    """Whether a flow is of the leg its session is at: one of an earlier leg may have been begun while that ended."""
    steps = range(session.step_index, session.plan.web_leg_end(session.step_index))
    return flow.session_id == session.session_id and flow.step_index in steps


def _send_back(tenancy: Tenancy, store: TenantStore, session: Session, evidence: Evidence) -> Finished:
    """Complete the browser leg of a session that has more steps (OpenID4VCI 1.1 §6.2.1.2; IA-36, IA-37, IA-41).

    The wallet's handle of before is worthless from here on; the new one is known to whoever follows the redirect.
    """
    auth_session = tenancy.entropy.token()
    returned = msgspec.structs.replace(
        session,
        status=move(session.status, Event.WEB_STEPS_COMPLETED),
        auth_session_digest=digest(auth_session),
        request_uri_digest=None,
        request_uri_expires_at=None,
        completed_steps=evidence,
    )
    store.browser_flows.end_all(session.session_id)
    faster = session_gone("another browser finished first")
    store.sessions.advance(session, returned, now=tenancy.clock.now(), otherwise=faster)
    store.audit.append(tenancy.event("browser_leg_completed", session.session_id, step=session.step_index))
    return _finished(tenancy, session, auth_session=auth_session)


def _handle(request_uri: str) -> str:
    handle = web.request_uri_handle(request_uri)
    if handle is None:
        raise session_gone("foreign request_uri")
    return handle


def _next_page(session: Session, request_uri: str) -> NextPage:
    return NextPage("/authorize?" + urlencode({"client_id": session.client_id, "request_uri": request_uri}))


def _refused(tenancy: Tenancy, session: Session, description: str) -> Finished:
    return _finished(tenancy, session, error="access_denied", error_description=description or None)


def _finished(tenancy: Tenancy, session: Session, **parameters: str | None) -> Finished:
    assert session.redirect_uri is not None  # noqa: S101  no session with a web step begins without one
    return Finished(redirect.location(session.redirect_uri, **parameters, state=session.state, iss=tenancy.issuer))
