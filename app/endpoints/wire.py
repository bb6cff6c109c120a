"""Reads request bodies strictly, writes answers: the framework binds nothing for wallet-facing endpoints.

Forms and JSON objects only; content type, UTF-8, size, field count and depth are checked; a repeated name is refused
whether it is known or not; an empty value counts as absent; unknown names are for the rules to ignore.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Self, cast
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request
from litestar.types import HTTPReceiveMessage, Receive, Scope, Send

from app.protocol import strict_json
from app.protocol.refusal import Refusal

FORM_LIMIT: Final = 64 * 1024
CREDENTIAL_REQUEST_LIMIT: Final = 256 * 1024
INTERACTIVE_REQUEST_LIMIT: Final = 1024 * 1024
_MAX_FIELDS: Final = 64
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 §5.1 (G-04, G-05)."""

HttpRequest = Request[Any, Any, Any]


def header(request: HttpRequest, name: bytes) -> str | None:
    """Return a request's header by its lower-case name; the boundary saw to it that there is at most one of ours."""
    return next((value.decode("latin-1") for key, value in request.scope["headers"] if key == name), None)


async def read_form(request: HttpRequest) -> dict[str, str]:
    """Return the fields of a form body (G-10). Raises `Refusal("invalid_request")` or `unsupported_media_type`."""
    _check_content_type(request, "application/x-www-form-urlencoded")
    _check_query(request)
    return parse_form(await body_of(request))


async def body_of(request: HttpRequest) -> bytes:
    """Return a request's body when all of it is there. Raises `Refusal` where it is too large or does not come."""
    state = request.scope["state"]
    if "body" not in state:
        state["body"] = await _receive_body(request)
    return cast("bytes", state["body"])


async def _receive_body(request: HttpRequest) -> bytes:
    """Receive a body within its handler's limit (O-02); the framework's reader makes an object of all headers first."""
    # Every handler that takes a body names its limit.
    limit = request.route_handler.resolve_request_max_body_size() or 0
    # Digits only: the server sees to that. As many zeros as anybody likes, more than `int` reads.
    announced = (header(request, b"content-length") or "").lstrip("0") or "0"
    if len(announced) > len(str(limit)) or int(announced) > limit:
        raise Refusal("payload_too_large", reason="announced")
    body, more = bytearray(), True
    while more:
        message = cast("HTTPReceiveMessage", await request.receive())
        if message["type"] == "http.disconnect":
            # A client that hung up, or was hung up on because it was too slow.
            raise Refusal("invalid_request", "The body did not arrive.", reason="client disconnected")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refusal("payload_too_large", reason="received")
        more = message.get("more_body", False)
    return bytes(body)


def parse_form(body: bytes) -> dict[str, str]:
    """Parse `application/x-www-form-urlencoded` octets. Raises `Refusal("invalid_request")`."""
    fields: dict[str, str] = {}
    pairs = body.split(b"&") if body else []
    if len(pairs) > _MAX_FIELDS:
        raise Refusal("invalid_request", "Too many parameters.")
    if _BROKEN_ESCAPE.search(body):
        raise Refusal("invalid_request", "The body is not a well-formed form.")
    for pair in pairs:
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        key = _decode(name)
        # RFC 6749 §3.2 (G-07, C-27): parameters must not be included more than once.
        if key in fields:
            raise Refusal("invalid_request", "A parameter is repeated.")
        fields[key] = _decode(value)
    # RFC 6749 §3.2 (G-07): a parameter without a value is treated as omitted.
    return {name: value for name, value in fields.items() if value}


def _decode(octets: bytes) -> str:
    try:
        text = unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("invalid_request", "The body is not UTF-8.") from None
    if "\0" in text:
        raise Refusal("invalid_request", "The body is not a well-formed form.")
    return text


async def read_json_object(request: HttpRequest) -> dict[str, Any]:
    """Return the members of a JSON object body. Raises `Refusal("invalid_request")` or `unsupported_media_type`."""
    _check_content_type(request, "application/json")
    _check_query(request)
    try:
        return strict_json.parse_object(await body_of(request))
    except strict_json.Malformed:
        raise Refusal("invalid_request", "The body is not a well-formed JSON object.") from None


def _check_query(request: HttpRequest) -> None:
    # RFC 6749 §3.2, RFC 6750 §2: parameters travel in the body, tokens in the header; one place only (O-04, CR-03).
    if request.scope["query_string"]:
        raise Refusal("invalid_request", "Parameters belong in the body.")


def _check_content_type(request: HttpRequest, expected: str) -> None:
    # O-02, O-05: one media type per endpoint; no encoding but UTF-8, no compressed bodies.
    if header(request, b"content-encoding") not in (None, "identity"):
        raise Refusal("unsupported_media_type", "Encoded bodies are not accepted.")
    media_type, _, parameters = (header(request, b"content-type") or "").partition(";")
    parameter = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != expected or parameter not in ("", "charset=utf-8"):
        raise Refusal("unsupported_media_type", f"The content type must be {expected}.")


def read_cookie(request: HttpRequest, name: str) -> str | None:
    """Return a cookie's value as it was sent, None where there is none.

    The framework's reader unquotes every cookie by the standard library, in a time that grows with the square of the
    header's length in Python releases we support (CVE-2024-7592, O-15). No cookie of ours is quoted.
    """
    for pair in (header(request, b"cookie") or "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value or None
    return None


class JsonAnswer:
    """An answer in JSON that is ready to be sent: an ASGI application, without what the framework's responses offer."""

    def __init__(self, body: Mapping[str, Any], *, status_code: int, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.headers = dict(headers)
        self._body = msgspec.json.encode(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})

    def to_asgi_response(self, *_: object, **__: object) -> Self:
        """Return itself: the framework asks for it where a handler of exceptions made the answer."""
        return self


def public_answer(body: Mapping[str, Any]) -> JsonAnswer:
    """Return a JSON document that anybody may read, from any origin, and keep for five minutes."""
    return JsonAnswer(
        body, status_code=200, headers={"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    )


def json_answer(
    body: Mapping[str, Any], *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> JsonAnswer:
    """Return a JSON answer that nobody may store."""
    return JsonAnswer(body, status_code=status_code, headers={**NO_STORE, **(headers or {})})
