"""The one mapper from refusals to the wire; it knows each endpoint's own vocabulary.

OAuth endpoints: RFC 6749 §5.2. Credential endpoint: OpenID4VCI §8.3.1, RFC 6750 §3, RFC 9449 §7.1. What a browser
shows: a page. Everything unforeseen is `server_error` with a request id and no detail.
"""

from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.endpoints.wire import JsonAnswer, json_answer
from app.pages.render import error_page
from app.ports import DatabaseUnavailable, RequestRecord, TooManyRequests
from app.protocol import dpop
from app.protocol.nonce import NonceFamily
from app.protocol.refusal import Refusal
from app.tenancy import Tenancy

_STATUS: Final = {
    "invalid_client": 401,
    "invalid_token": 401,
    "missing_token": 401,
    "insufficient_scope": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "unsupported_media_type": 415,
    "misdirected_request": 421,
    "too_many_requests": 429,
    "headers_too_large": 431,
    "server_error": 500,
    "temporarily_unavailable": 503,
}
"""Statuses other than 400 (G-03)."""

_FRAMEWORK: Final = {404: "not_found", 405: "method_not_allowed"}

_INTERNAL: Final = frozenset(
    {
        "two_tokens",
        "invalid_session",
        "not_found",
        "method_not_allowed",
        "payload_too_large",
        "uri_too_long",
        "unsupported_media_type",
        "misdirected_request",
        "headers_too_large",
    }
)
"""Codes of ours that no specification names: on the wire they are the endpoint's word for a malformed request."""

_TEXTS: Final = {
    "not_found": "There is nothing here.",
    "method_not_allowed": "This method is not offered here.",
    "payload_too_large": "The request is too large.",
    "server_error": "Something went wrong here. The request id names it.",
    "temporarily_unavailable": "The service is busy. Please try again in a moment.",
    "too_many_requests": "These are too many requests. Please try again in a moment.",
}


Answer = Response[Any] | JsonAnswer
"""A page, or JSON."""


def answer_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Answer:
    """Map a refusal to the answer of the endpoint that was asked."""
    record: RequestRecord = request.scope["state"]["record"]
    record.outcome, record.reason = refusal.code, refusal.reason or None
    status = _STATUS.get(refusal.code, 400)
    text = refusal.public or _TEXTS.get(refusal.code, "")
    match _endpoint_of(request.scope["path"]):
        case "authorize":
            # A form that is not this browser's; OAuth answers with the same word as a 400.
            page_status = 403 if refusal.code == "access_denied" else status
            return error_page(text, status=page_status, request_id=record.request_id)
        case "credential":
            return _resource_answer(request, refusal.code, text)
        case _:
            return _oauth_answer(request, refusal.code, text)


def answer_http_exception(request: Request[Any, Any, Any], exception: HTTPException) -> Answer:
    """Map what the framework refuses (no such path, wrong method) like our own refusals."""
    if exception.status_code >= 500:
        return answer_unforeseen(request, exception)
    answer = answer_refusal(
        request, Refusal(_FRAMEWORK.get(exception.status_code, "invalid_request"), reason="refused by the framework")
    )
    # RFC 9110 §15.5.6: the framework knows which methods there are.
    allowed = {name.lower(): value for name, value in (exception.headers or {}).items()}.get("allow")
    if allowed is not None:
        answer.headers["Allow"] = allowed
    return answer


def answer_unforeseen(request: Request[Any, Any, Any], exception: Exception) -> Answer:
    """Answer what nobody foresaw: no detail leaves the service."""
    record: RequestRecord = request.scope["state"]["record"]
    structlog.get_logger("request").error("unexpected", exc_info=exception, request_id=record.request_id)
    return answer_refusal(request, Refusal("server_error", reason=type(exception).__name__))


def answer_unavailable(request: Request[Any, Any, Any], problem: DatabaseUnavailable) -> Answer:
    """Answer that it may go better in a while; nothing was changed."""
    answer = answer_refusal(request, Refusal("temporarily_unavailable", reason=f"database: {problem}"))
    answer.headers["Retry-After"] = "2"
    return answer


def answer_too_many(request: Request[Any, Any, Any], problem: TooManyRequests) -> Answer:
    """Answer that this was one request too many, and when to come back (RFC 6585 §4, PAR-13)."""
    answer = answer_refusal(request, Refusal("too_many_requests", reason=f"limit: {problem}"))
    answer.headers["Retry-After"] = str(problem.seconds)
    return answer


def answer_problem(request: Request[Any, Any, Any], problem: Exception) -> Answer:
    """Map any exception, for what happens before the framework's own handlers are there."""
    match problem:
        case Refusal():
            return answer_refusal(request, problem)
        case DatabaseUnavailable():
            return answer_unavailable(request, problem)
        case _:
            return answer_unforeseen(request, problem)


def _endpoint_of(path: str) -> str:
    """Return the first segment after the tenant's, or the first where a tenant's own origin was addressed.

    No slug is the name of an endpoint (`RESERVED_SLUGS`), so the boundary need not know yet which of the two it is.
    """
    return next((segment for segment in path.split("/")[1:3] if segment in ("authorize", "credential")), "")


def _oauth_answer(request: Request[Any, Any, Any], code: str, text: str) -> Answer:
    headers: dict[str, str] = {}
    if code == "use_dpop_nonce":
        # RFC 9449 §8 (DP-26)
        headers = nonce_header(request.scope["state"]["tenancy"], "dpop_as")
    if code == "invalid_client":
        # RFC 6749 §5.2 (TOK-20); RFC 9110 §15.5.2 (G-15): every 401 has a challenge, and DPoP would be a false hint.
        # RFC 7617 §2: a realm is required.
        headers["WWW-Authenticate"] = 'Basic realm="clients"'
    return _error("invalid_request" if code in _INTERNAL else code, text, _STATUS.get(code, 400), headers)


def _resource_answer(request: Request[Any, Any, Any], code: str, text: str) -> Answer:
    if code == "missing_token":
        # RFC 6750 §3, RFC 9449 §7.1 (DP-24): a challenge, no error, where no token was sent.
        return Response(
            b"", status_code=401, headers={"WWW-Authenticate": _challenge(request), "Cache-Control": "no-store"}
        )
    if code in ("invalid_token", "insufficient_scope", "invalid_dpop_proof", "use_dpop_nonce"):
        headers = {"WWW-Authenticate": _challenge(request, error=code)}
        if code == "use_dpop_nonce":
            # RFC 9449 §9 (DP-27)
            headers |= nonce_header(request.scope["state"]["tenancy"], "dpop_resource")
        return _error(code, text, 403 if code == "insufficient_scope" else 401, headers)
    # OpenID4VCI §8.3.1.2 (CR-09): never `invalid_request`, but for two kinds of token at once (RFC 9449 §7.2, DP-25).
    if code == "two_tokens":
        return _error("invalid_request", text, 400, {"WWW-Authenticate": _challenge(request, error="invalid_request")})
    malformed = code == "invalid_request" or code in _INTERNAL
    return _error("invalid_credential_request" if malformed else code, text, _STATUS.get(code, 400), {})


def _challenge(request: Request[Any, Any, Any], *, error: str | None = None) -> str:
    """Return a challenge for each scheme the tenant takes (RFC 9449 §7.1, RFC 6750 §3)."""
    algorithms = " ".join(dpop.ALGORITHMS)
    challenge = f'DPoP algs="{algorithms}"' if error is None else f'DPoP error="{error}", algs="{algorithms}"'
    tenancy: Tenancy | None = request.scope["state"].get("tenancy")
    if tenancy is None or tenancy.document.dpop.tokens == "required" or error in _DPOP_ERRORS:
        return challenge
    return f"{challenge}, Bearer" if error is None else f'{challenge}, Bearer error="{error}"'


_DPOP_ERRORS: Final = ("invalid_dpop_proof", "use_dpop_nonce")


def nonce_header(tenancy: Tenancy, family: NonceFamily) -> dict[str, str]:
    """Return a fresh `DPoP-Nonce` for 2xx answers and `use_dpop_nonce`; nothing where the tenant has it off."""
    if tenancy.document.dpop.nonce == "off":
        return {}
    return {"DPoP-Nonce": tenancy.fresh_nonce(family)}


def _error(code: str, text: str, status: int, headers: dict[str, str]) -> JsonAnswer:
    # RFC 9126 §2.3 has the status 429 and no word for it; RFC 6749 §4.1.2.1 has one for what goes better in a while.
    error = "temporarily_unavailable" if code == "too_many_requests" else code
    body = {"error": error, "error_description": text} if text else {"error": error}
    return json_answer(body, status_code=status, headers=headers)


EXCEPTION_HANDLERS: Final[dict[int | type[Exception], Any]] = {
    Refusal: answer_refusal,
    HTTPException: answer_http_exception,
    DatabaseUnavailable: answer_unavailable,
    TooManyRequests: answer_too_many,
    Exception: answer_unforeseen,
}
