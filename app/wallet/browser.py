"""The person's own browser: a listener on the loopback interface that it is sent back to (RFC 8252 §7.3)."""

from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from types import TracebackType
from urllib.parse import urlsplit

from app.wallet.addresses import is_loopback
from app.wallet.errors import Misused, Unreachable
from app.wallet.keys import Now

PATIENCE = 600
"""Seconds the wallet waits for the person."""

_THANKS = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Back in the wallet</title><body style="font: 1.1rem system-ui; margin: 3rem auto; max-width: 30rem">
<h1>Back in the wallet</h1><p>The wallet goes on by itself. You can close this page.</p></body></html>
"""


class LoopbackListener:
    """Waits on the loopback interface for the browser's way back; a context manager."""

    def __init__(self, now: Now, redirect_uri: str | None = None) -> None:
        """Listen where `redirect_uri` (http, loopback) says, or on a free port of our own choice."""
        self._now = now
        parts = urlsplit(redirect_uri or "http://localhost/callback")
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            raise Misused("redirect_uri", f"{redirect_uri} is not http on a loopback address")
        self._path = parts.path or "/"
        try:
            self._server = _Server(("127.0.0.1", parts.port or (80 if redirect_uri else 0)), _Handler)
        except OSError as error:
            raise Unreachable("no_listener", f"cannot listen for the way back: {error.strerror}") from None
        self._server.path = self._path
        self.redirect_uri = redirect_uri or f"http://localhost:{self._server.server_address[1]}{self._path}"

    def __enter__(self) -> "LoopbackListener":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    def wait(self) -> str:
        """Return the whole address the browser came back to. Raises `Unreachable` when nobody comes."""
        give_up = self._now() + PATIENCE
        while self._server.query is None:
            if self._now() >= give_up:
                raise Unreachable("nobody_came_back", f"no answer from the web page in {PATIENCE} s")
            self._server.handle_request()
        query, self._server.query = self._server.query, None
        return f"{self.redirect_uri.partition('?')[0]}?{query}"


class _Server(TCPServer):
    allow_reuse_address = True
    timeout = 1
    path = "/"
    query: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path != self.server.path or not target.query:
            self.send_error(404)
            return
        self.server.query = target.query
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(_THANKS)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(_THANKS)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Say nothing: the query holds the code."""
