"""A wallet's loopback address: an HTTP server that keeps what browsers ask it for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Listener:
    """What listens, what it was asked for, and the pages another site would show."""

    port: int = 0
    callbacks: list[dict[str, str]] = field(default_factory=list)
    """The queries of `/callback`, the oldest first."""
    pages: dict[str, str] = field(default_factory=dict)
    """Path → HTML."""
    asked: list[str] = field(default_factory=list)
    """Every path, with its query, that anybody asked for."""

    @property
    def redirect_uri(self) -> str:
        return f"http://localhost:{self.port}/callback"

    @property
    def foreign_origin(self) -> str:
        """The same listener under a name that is another site than the service's."""
        return f"http://127.0.0.1:{self.port}"


def page(body: str) -> str:
    """Return a page of another site, with an icon so that the browser asks for none."""
    return f'<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">{body}'


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen on a free loopback port."""
    listener = Listener(pages={"/callback": page("<h1>Back in the wallet</h1>")})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listener.asked.append(self.path)
            parts = urlsplit(self.path)
            html = listener.pages.get(parts.path)
            if html is not None and parts.path == "/callback":
                listener.callbacks.append(dict(parse_qsl(parts.query, keep_blank_values=True)))
            self.send_response(404 if html is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((html or "").encode())

        do_POST = do_GET  # noqa: N815 (names of http.server)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        listener.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            http.shutdown()
            thread.join()
