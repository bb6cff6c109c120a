"""HTTP as octets on a socket: requests no client library would send."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec


@dataclass
class RawAnswer:
    """An answer; header names in lower case, repeated headers as a list."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return self.headers.get("content-type", [""])[0].partition(";")[0]

    @property
    def from_server(self) -> bool:
        """Whether the HTTP server answered for itself, because the head was no HTTP."""
        return "x-request-id" not in self.headers

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


def spelled(request: httpx2.Request) -> tuple[bytes, bytes]:
    """Return the head and the body of a library's request as octets."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n", request.read()


def as_response(answer: RawAnswer) -> httpx2.Response:
    """Return an answer as a library's response."""
    headers = [(name, value) for name, values in answer.headers.items() for value in values]
    return httpx2.Response(answer.status, headers=headers, content=answer.body)


def connect(url: str, *, address: str | None = None, timeout: float = 10) -> socket.socket:
    """Return a connection to the host of `url`, from a local address if one is given."""
    parts = urlsplit(url)
    source = None if address is None else (address, 0)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout, source)


def exchange(url: str, octets: bytes, *, address: str | None = None, timeout: float = 10) -> RawAnswer:
    """Send octets to the host of `url` and read one answer; a closed connection without one is status 0."""
    with connect(url, address=address, timeout=timeout) as connection:
        # An answer may have come although sending broke off.
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(octets)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    """Read one answer; a closed connection without one is status 0."""
    received = b""
    with suppress(ConnectionResetError, BrokenPipeError):
        while chunk := connection.recv(65536):
            received += chunk
            if _complete(received):
                break
    if not received:
        return RawAnswer(0, {}, b"")
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return RawAnswer(int(lines[0].split()[1]), headers, body)


def _complete(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False


def request(
    method: str,
    target: str | bytes,
    *,
    host: str | bytes,
    headers: list[tuple[str | bytes, str | bytes]] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return a request as octets, with a Content-Length unless the headers have one or are chunked."""
    sent = [(_octets(name), _octets(value)) for name, value in headers or []]
    if body and not {b"content-length", b"transfer-encoding"} & {name.lower() for name, _ in sent}:
        sent.append((b"Content-Length", str(len(body)).encode()))
    lines = [_octets(method) + b" " + _octets(target) + b" HTTP/1.1", b"Host: " + _octets(host), b"Connection: close"]
    lines += [name + b": " + value for name, value in sent]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
