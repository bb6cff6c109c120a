"""The boundary: what is refused before routing, and which tenant's origin was addressed.

The framework accepts non-canonical paths and joins repeated headers; this middleware stands before its router
(C-25, D-04, M-07, M-08, O-06, O-20).
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from app.endpoints.errors import answer_problem
from app.endpoints.wired import Wired
from app.pages.render import ICON_PATH, STYLES_PATH
from app.protocol.refusal import Refusal

_URL_LIMIT: Final = 8 * 1024
_HEADER_LIMIT: Final = 64 * 1024
_CANONICAL_PATH: Final = re.compile(rb"/|(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_ONCE: Final = (b"host", b"authorization", b"dpop", b"content-type", b"content-encoding", b"cookie")
_ANY_HOST: Final = ("/healthz", "/readyz", STYLES_PATH, ICON_PATH)
"""The same at every host: asked by machines that know no name of ours, and by the pages of every tenant."""

OWN_ORIGIN: Final = "~"
"""Stands where a tenant with an origin of its own has no path segment; no slug can be this."""


class Boundary:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, public_url: str, wired: Callable[[], Wired]) -> None:
        self._app = app
        self._public_host = _host(public_url)
        self._scheme = urlsplit(public_url).scheme
        self._wired = wired

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request, then pass it on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        scope["state"]["wired"] = self._wired()
        try:
            self._check_size(scope)
            self._check_headers(scope)
            self._check_path(scope)
            await self._find_origin(scope)
        except Exception as problem:
            # The framework's handlers are behind this, also for what nobody foresaw, such as a database that is gone.
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            answer = answer_problem(request, problem)
            await answer.to_asgi_response(None, request)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_size(self, scope: Any) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > _URL_LIMIT:
            raise Refusal("uri_too_long", "The URL is too long.")
        if sum(map(len, chain.from_iterable(scope["headers"]))) > _HEADER_LIMIT:
            raise Refusal("headers_too_large", "The headers are too large.")

    def _check_headers(self, scope: Any) -> None:
        names = [name for name, _ in scope["headers"]]
        for once in _ONCE:
            if names.count(once) > 1:
                # RFC 9449 §4.3 item 1 (DP-01), §7.2 (DP-25)
                code = {b"dpop": "invalid_dpop_proof", b"authorization": "two_tokens"}.get(once, "invalid_request")
                raise Refusal(code, f"The header {once.decode()} is repeated.")

    def _check_path(self, scope: Any) -> None:
        if not _CANONICAL_PATH.fullmatch(scope["raw_path"]):
            raise Refusal("not_found", reason="path not canonical")

    async def _find_origin(self, scope: Any) -> None:
        """Look the Host up among the configured ones; it is never used to build a URL (D-02)."""
        if scope["path"] in _ANY_HOST:
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
        if host == self._public_host:
            return
        origin = f"{self._scheme}://{host}"
        if await scope["state"]["wired"].tenancies.by_origin(origin) is None:
            raise Refusal("misdirected_request", "This host is not served here.")
        scope["state"]["origin"] = origin
        scope["path"] = f"/{OWN_ORIGIN}{scope['path']}"
        scope["raw_path"] = scope["path"].encode()


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()
