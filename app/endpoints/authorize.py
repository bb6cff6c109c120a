"""The authorization endpoint (RFC 6749 §3.1) by `request_uri` (RFC 9126 §4): what a browser walks through."""

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect

from app.endpoints.deps import Form
from app.endpoints.wire import FORM_LIMIT, HttpRequest, parse_form, read_cookie
from app.endpoints.wired import wired
from app.interaction.browser import Finished, NextPage, OpenPage, flow_name, form_token
from app.pages.render import PAGE_HEADERS, step_page
from app.protocol.refusal import Refusal
from app.tenancy import Tenancy


@get(
    "/{tenant:str}/authorize",
    opt={"authorization_server_metadata": "authorization_endpoint", "counted_as": "pages"},
)
async def authorize(request: HttpRequest, tenancy: NamedDependency[Tenancy]) -> Response[Any]:
    """Show the page this browser is at; parameters next to `request_uri` change nothing (AZ-13, C-07)."""
    query = parse_form(request.scope["query_string"])
    client_id, request_uri = query.get("client_id"), query.get("request_uri")
    if client_id is None or request_uri is None:
        # RFC 9126 §4 (AZ-12): not begun elsewhere, so its redirect_uri was never judged and nobody is sent there.
        raise Refusal("invalid_request", "An authorization request is pushed first, or begun interactively.")
    request.scope["state"]["record"].client = client_id
    cookie = read_cookie(request, _cookie_name(tenancy, request_uri))
    opened = await wired(request).browser_leg.open(tenancy, client_id=client_id, request_uri=request_uri, cookie=cookie)
    return _show(tenancy, opened, request_uri=request_uri, cookie=opened.new_cookie or cookie or "")


@post(
    "/{tenant:str}/authorize/answer",
    status_code=200,
    opt={"counted_as": "pages"},
    request_max_body_size=FORM_LIMIT,
)
async def answer(
    request: HttpRequest,
    tenancy: NamedDependency[Tenancy],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Take a page's form: on to the next page, the same page again, or back to the wallet."""
    request_uri = form.get("request_uri", "")
    cookie = read_cookie(request, _cookie_name(tenancy, request_uri))
    outcome = await wired(request).browser_leg.answer(tenancy, request_uri=request_uri, cookie=cookie, form=form)
    match outcome:
        case OpenPage():
            request.scope["state"]["record"].outcome = "rejected"
            return _show(tenancy, outcome, request_uri=request_uri, cookie=cookie or "", status_code=400)
        case Finished():
            # RFC 9700 §4.12 (AZ-10): 303, so that nothing posted here is posted there. The login ends with its request.
            response: Response[Any] = Redirect(outcome.location, status_code=303, headers=PAGE_HEADERS)
            response.set_cookie(_cookie(tenancy, request_uri, "", max_age=0))
            return response
        case NextPage():
            return Redirect(tenancy.url(outcome.path), status_code=303, headers=PAGE_HEADERS)


def _show(
    tenancy: Tenancy, opened: OpenPage, *, request_uri: str, cookie: str, status_code: int = 200
) -> Response[Any]:
    steps = opened.session.plan.steps
    response = step_page(
        opened.page,
        tenant=tenancy.document.tenant.display,
        action=tenancy.url("/authorize/answer"),
        hidden={"request_uri": request_uri, "form_token": form_token(cookie), "step": opened.step.id},
        redirect_uri=opened.session.redirect_uri,
        message=opened.message,
        step_number=steps.index(opened.step) + 1,
        step_count=len(steps),
        status_code=status_code,
    )
    if opened.new_cookie is not None:
        response.set_cookie(_cookie(tenancy, request_uri, opened.new_cookie))
    return response


def _cookie_name(tenancy: Tenancy, request_uri: str) -> str:
    """Return the flow's cookie name: `__Host-` pins it to this host over https; loopback http cannot have it."""
    prefix = "__Host-" if tenancy.issuer.startswith("https:") else ""
    return f"{prefix}vestibule-{flow_name(request_uri)}"


def _cookie(tenancy: Tenancy, request_uri: str, value: str, max_age: int | None = None) -> Cookie:
    return Cookie(
        key=_cookie_name(tenancy, request_uri),
        value=value,
        max_age=max_age,
        path="/",
        httponly=True,
        secure=tenancy.issuer.startswith("https:"),
        samesite="lax",
    )
