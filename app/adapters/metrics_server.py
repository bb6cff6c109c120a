"""The metrics' own listener: `GET /metrics` on `metrics.port`, never on the public one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog

from app.adapters.metrics import forget_ended_processes, prepare_directory
from app.protocol.refusal import Refusal
from app.settings import Settings

_SECONDS: Final = 10
"""Within which a request must have arrived."""


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback: whoever asks and goes away is no event."""


@contextmanager
def serving_metrics(settings: Settings) -> Iterator[None]:
    """Serve the sum over all processes with this data directory, in a thread; does nothing where it is off.

    Raises `Refusal` where the port cannot be listened on.
    """
    if settings.metrics.port is None:
        yield
        return
    directory = prepare_directory(settings)
    try:
        server = _Server((settings.metrics.host, settings.metrics.port), _handler(str(directory)))
    except OSError as error:
        raise Refusal(
            "settings",
            "The server cannot be started with these settings.",
            reason=f"metrics.port: cannot be listened on: {error.strerror}",
        ) from None
    forget_ended_processes(directory)
    host, port = server.server_address[:2]
    structlog.get_logger("server").info("serving metrics", listening=f"{host!s}:{port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(directory: str) -> type[BaseHTTPRequestHandler]:
    # Here, not above: nobody pays for it who has the metrics off, and it reads the environment when it is imported.
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]  # it has no annotations

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = generate_latest(registry)
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "vestibule"

        def log_message(self, *args: Any) -> None:
            """Log nothing: it is asked every few seconds."""

    return Handler
