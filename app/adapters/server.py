"""The HTTP server: uvicorn with our limits, our TLS and our log."""

import asyncio
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.adapters.logs import AsgiApp, Message, Receive, Scope, Send
from app.protocol.refusal import Refusal
from app.settings import Settings, unsafe

HEAD_LIMIT: Final = 64 * 1024
"""Octets of a request's line and headers; uvicorn's httptools parser has no limit of its own."""
HEAD_SECONDS: Final = 10
"""Within which they must have arrived, counted from the connection or the first octet of a later request."""
BODY_SECONDS: Final = 20
"""Within which the body must have arrived, counted from the end of the head."""

# RFC 9325 (BCP 195) §4.2: the recommended TLS 1.2 suites, forward-secret and AEAD; TLS 1.3 has only such.
_TLS_1_2_SUITES: Final = "ECDHE+AESGCM"


class LimitedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which closes connections whose request is too long in the head or too slow (O-02)."""

    _reading: Literal["head", "body"] | None = "head"
    _head_octets = 0
    _head_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_arrived()
        self._body_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count the head."""
        super().on_message_begin()
        self._reading = "head"
        self._head_octets = 0

    def on_headers_complete(self) -> None:
        """Stop waiting for the head."""
        self._reading = "body"
        self._head_arrived()
        if not self.url.startswith(b"/"):
            # RFC 9112 §3.2.2 (M-07): the authority of an absolute target replaces Host.
            authority = self.url.partition(b"//")[2].partition(b"/")[0]
            self.headers[:] = [(name, authority if name == b"host" else value) for name, value in self.headers]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting for the body."""
        self._reading = None
        self._body_arrived()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read; wait for what is still missing of a request, and close the connection where its head grows too long."""
        super().data_received(data)
        if self._reading == "head":
            self._await_head()
            self._head_octets += len(data)
            if self._head_octets > HEAD_LIMIT:
                self.send_400_response("Request head too long.")
        elif self._reading == "body":
            self._await_body()
        elif self.cycle.response_complete:
            # An empty line (RFC 9112 §2.2), or the rest of a refused body: it stopped uvicorn's wait for what is next.
            self._await_head()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _await_body(self) -> None:
        if self._body_timer is None:
            self._body_timer = self.loop.call_later(BODY_SECONDS, self.transport.close)

    def _body_arrived(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None


class _AnnouncingServer(uvicorn.Server):
    """Says in the log when it listens, and with what."""

    def __init__(self, config: uvicorn.Config, settings: Settings, on_serving: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._settings = settings
        self._on_serving = on_serving

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        if self._on_serving is not None:
            self._on_serving()
            return
        announce(self._settings, [one.getsockname() for server in self.servers for one in server.sockets])


def announce(settings: Settings, listening: Sequence[Sequence[Any]]) -> None:
    """Say in the log where the service listens, with what, and which settings weaken it."""
    log = structlog.get_logger("server")
    log.info(
        "serving",
        public_url=settings.public_url,
        listening=", ".join(f"{address[0]}:{address[1]}" for address in listening),
        tls=settings.server.tls_certificate is not None,
        database=settings.database_url.partition(":")[0],
        workers=settings.server.workers,
        demo=settings.demo,
    )
    for weakness in unsafe(settings):
        log.warning("unsafe setting", setting=weakness)


class _KeptFailure:
    """Passes everything on, but keeps the exception of a failed start or stop and lets no text of it into the log."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_without_text(message: Message) -> None:
            await send({"type": message["type"]})

        try:
            await self._app(scope, receive, send_without_text)
        except Exception as failure:
            self.failure = failure
            # The framework opens its lifespan in task groups, which wrap even a single exception.
            while isinstance(self.failure, ExceptionGroup) and len(self.failure.exceptions) == 1:
                self.failure = self.failure.exceptions[0]
            raise


def run_server(
    app: AsgiApp,
    settings: Settings,
    *,
    shared: socket.socket | None = None,
    on_serving: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, let running requests finish, and exit 0.

    A worker serves on a `shared` socket and calls `on_serving` instead of announcing itself.

    Raises what made the application's start or stop fail; exits 1 where the server itself cannot start.
    """
    # uvicorn raises the signal again once it has shut down; stopping on request is success (exit code 0).
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    kept = _KeptFailure(app)
    server = _AnnouncingServer(server_config(kept, settings), settings, on_serving)
    try:
        server.run(None if shared is None else [shared])
    except SystemExit as stop:
        if kept.failure is None:
            sys.exit(1 if stop.code else 0)
    if kept.failure is not None:
        raise kept.failure
    sys.exit(0 if server.started else 1)


def server_config(app: AsgiApp, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration. Raises `Refusal` where TLS is missing or its files are unusable."""
    _refuse_wrong_transport(settings)
    proxies = list(settings.server.trusted_proxies)
    context = tls_context(settings)
    return uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        loop="uvloop",
        http=LimitedHttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=settings.server.graceful_shutdown,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def _refuse_wrong_transport(settings: Settings) -> None:
    """Refuse to serve a public URL over a transport that is not the URL's."""
    https = settings.public_url.startswith("https:")
    tls = settings.server.tls_certificate is not None
    if https and not tls and not settings.server.trusted_proxies:
        raise _refusal(
            "public_url is https: give server.tls_certificate and server.tls_key, "
            "or server.trusted_proxies where a proxy ends TLS"
        )
    if not https and tls:
        raise _refusal("server.tls_certificate is given: public_url must be https")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's TLS, 1.2 or newer with forward-secret AEAD suites, or None for plain HTTP."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_SUITES)
    # RFC 9325 §3.3 and §3.5: no compression, no renegotiation.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise _refusal(f"server.tls_certificate or server.tls_key cannot be used: {error.strerror}") from None
    return context


def _refusal(reason: str) -> Refusal:
    return Refusal("settings", "The server cannot be started with these settings.", reason=reason)
