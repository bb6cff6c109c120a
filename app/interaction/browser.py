"""The browser leg of a session: which page a browser is at, what it answers, where it goes in the end.

Several browsers may be on their way through one session, each with results of its own; the first to finish wins.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from app.document.model import ConfirmStep, LoginStep, Step
from app.interaction.dialects import web
from app.interaction.driver import authorize, current_client, fail_session, live_session, mint_code, session_gone
from app.interaction.plan import PlannedCredential, collect_claims
from app.protocol import base64url
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.records import BrowserFlow, Session, StoredUser
from app.steps import Accepted, Page, Rejected, ShownClaim, ShownCredential, View, WebStep, WebSteps
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
        session = live_session(tenancy, store, handle)
        # RFC 9126 §2.2 (PAR-07, C-04): bound to the client that pushed.
        if session.client_id != client_id:
            raise session_gone("request_uri of another client")
        current_client(tenancy, store, session)
        flow = store.browser_flows.by_cookie(digest(cookie)) if cookie is not None else None
        if flow is not None and flow.session_id == session.session_id:
            return session, flow
        # RFC 9126 §4 (PAR-08): the lifetime bounds the first GET; who came in time may reload and finish (PAR-09).
        if session.request_uri_expires_at is None or session.request_uri_expires_at <= tenancy.clock.now():
            raise session_gone("request_uri expired")
        return session, None

    def _show(
        self, tenancy: Tenancy, store: TenantStore, session: Session, flow: BrowserFlow, *, new_cookie: str | None
    ) -> OpenPage:
        step = session.plan.steps[flow.step_index]
        page = self._steps[type(step)].page(step, _view(tenancy, store, session, flow))
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
            return session, flow, _view(tenancy, store, session, flow)

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
        if flow.step_index + 1 == len(session.plan.steps):
            return await self._complete(tenancy, handle, handler, outcome, user_id=user_id, results=results)

        def advance(store: TenantStore) -> None:
            # Zero rows: this page was sent twice, and the other was faster. The next page is the same.
            if store.browser_flows.advance(flow, step_index=flow.step_index + 1, user_id=user_id, results=results):
                handler.record(outcome, store)

        await tenancy.write(advance)
        return _next_page(session, request_uri)

    def _find(
        self, tenancy: Tenancy, store: TenantStore, handle: str, cookie: str | None, token: str
    ) -> tuple[Session, BrowserFlow]:
        # The flow first: who finishes a session ends its flows with it, and one missing for that is no forgery (C-05).
        flow = store.browser_flows.by_cookie(digest(cookie)) if cookie else None
        session = live_session(tenancy, store, handle)
        if (
            cookie is None
            or flow is None
            or flow.session_id != session.session_id
            or not hmac.compare_digest(form_token(cookie).encode(), token.encode())
        ):
            raise Refusal("access_denied", "This page was not sent by the browser it was shown to.")
        return session, flow

    async def _refuse(self, tenancy: Tenancy, session: Session) -> Finished:
        def fail(store: TenantStore) -> None:
            current_client(tenancy, store, session)
            fail_session(tenancy, store, session, "refused by the person")

        await tenancy.write(fail)
        return _refused(tenancy, session, "The person refused.")

    async def _complete(
        self,
        tenancy: Tenancy,
        handle: str,
        handler: WebStep,
        outcome: Accepted,
        *,
        user_id: str | None,
        results: Mapping[str, Mapping[str, Any]],
    ) -> Finished:
        """Finish the browser leg: the last step, so a code is minted in the same transaction."""
        code, code_id = tenancy.entropy.token(), tenancy.entropy.identifier()

        def complete(store: TenantStore) -> Finished:
            session = live_session(tenancy, store, handle)
            current_client(tenancy, store, session)
            handler.record(outcome, store)
            user = store.users.by_id(user_id) if user_id else None
            try:
                authorization = authorize(tenancy, session, user, user_id, results)
            except Refusal as refusal:
                fail_session(tenancy, store, session, refusal.reason)
                return _refused(tenancy, session, refusal.public)
            mint_code(tenancy, store, session, authorization, user_id, code, code_id)
            assert session.redirect_uri is not None  # noqa: S101  a push without one is refused
            return Finished(web.granted(session.redirect_uri, code=code, state=session.state, issuer=tenancy.issuer))

        return await tenancy.write(complete)


def _handle(request_uri: str) -> str:
    handle = web.request_uri_handle(request_uri)
    if handle is None:
        raise session_gone("foreign request_uri")
    return handle


def _next_page(session: Session, request_uri: str) -> NextPage:
    return NextPage("/authorize?" + urlencode({"client_id": session.client_id, "request_uri": request_uri}))


def _view(tenancy: Tenancy, store: TenantStore, session: Session, flow: BrowserFlow) -> View:
    client = current_client(tenancy, store, session)
    step = session.plan.steps[flow.step_index]
    reveal = isinstance(step, ConfirmStep) and step.show_values and flow.user_id is not None
    user = store.users.by_id(flow.user_id) if reveal and flow.user_id is not None else None
    return View(
        wallet=client.name or _reached_at(session.redirect_uri or ""),
        credentials=[_shown(credential, user, flow.results) for credential in session.plan.credentials],
        demo_hints=store.users.demo_hints() if isinstance(step, LoginStep) else [],
    )


def _reached_at(redirect_uri: str) -> str:
    """Return the host of a redirect URI, or its scheme where an app of the device takes it and it has no host."""
    parts = urlsplit(redirect_uri)
    return parts.netloc if parts.scheme in ("http", "https") else parts.scheme


def _shown(credential: PlannedCredential, user: StoredUser | None, results: Mapping[str, Any]) -> ShownCredential:
    """Return a credential by the names of its claims, or for a known person by those that have a value."""
    values = _values(credential, user, results)
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
    credential: PlannedCredential, user: StoredUser | None, results: Mapping[str, Any]
) -> dict[tuple[str, ...], Any] | None:
    if user is None:
        return None
    try:
        return {c.path: c.value for c in collect_claims(credential, user_claims=user.claims, step_results=results)}
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


def _refused(tenancy: Tenancy, session: Session, description: str) -> Finished:
    assert session.redirect_uri is not None  # noqa: S101  a push without one is refused
    return Finished(
        web.refused(
            session.redirect_uri,
            error="access_denied",
            description=description,
            state=session.state,
            issuer=tenancy.issuer,
        )
    )
