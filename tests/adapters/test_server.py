"""The HTTP server: transport rules, TLS, limits of the request head, and stopping."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app.adapters import server
from app.adapters.development_certificates import make_development_certificate
from app.adapters.server import LimitedHttpProtocol, server_config, tls_context
from app.adapters.system import SystemClock
from app.protocol.refusal import Refusal
from app.settings import Settings
from app.settings_reader import load_settings


async def hello(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def settings(**environ: str) -> Settings:
    return load_settings(None, environ).settings


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dev-cert")
    make_development_certificate(folder, ["localhost"], SystemClock(), force=False)
    return folder


def with_tls(folder: Path) -> Settings:
    return settings(
        VESTIBULE_PUBLIC_URL="https://localhost:8000",
        VESTIBULE_SERVER__TLS_CERTIFICATE=str(folder / "server.pem"),
        VESTIBULE_SERVER__TLS_KEY=str(folder / "server.key"),
    )


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve `hello` with the protocol in this loop; yields the port."""
    config = uvicorn.Config(hello, ws="none", log_config=None, lifespan="off", server_header=False)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: LimitedHttpProtocol(config, state, {}, loop), "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def exchange(port: int, *pieces: bytes, **options: Any) -> bytes:
    """Send octets and return what comes back until the server closes or nothing comes for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


async def test_a_request_is_answered_without_naming_the_server() -> None:
    async with serving() as port:
        answer = await exchange(port, REQUEST + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")
    assert b"\r\nserver:" not in answer.lower()


@pytest.mark.rule("O-02")
@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 1_000_000,
        REQUEST + b"X: " + b"a" * 1_000_000,
        REQUEST + b"X: a\r\n" * 100_000,
        REQUEST + b"X" * 1_000_000,
    ],
    ids=["line", "value", "fields", "name"],
)
async def test_an_endless_head_is_refused_and_the_connection_closed(head: bytes) -> None:
    async with serving() as port:
        answer = await exchange(port, head)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


async def test_a_long_body_is_no_long_head() -> None:
    body = b"b" * 500_000
    async with serving() as port:
        answer = await exchange(port, REQUEST + f"Content-Length: {len(body)}\r\n\r\n".encode(), body)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_heads_of_one_connection_are_counted_apart() -> None:
    one = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"
    async with serving() as port:
        answer = await exchange(port, one, one, REQUEST + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.rule("O-02")
@pytest.mark.parametrize("start", [b"", b"GET / HT", REQUEST], ids=["nothing", "line", "fields"])
async def test_a_head_that_does_not_arrive_ends_the_connection(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    async with serving() as port:
        assert await exchange(port, start) == b""


async def test_tls_is_1_2_or_newer_with_forward_secret_aead_suites(certificates: Path) -> None:
    context = tls_context(with_tls(certificates))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    suites = {cipher["name"] for cipher in context.get_ciphers()}
    assert suites == {
        name for name in suites if name.startswith(("TLS_AES", "TLS_CHACHA20", "ECDHE-")) and "CBC" not in name
    }
    assert all("GCM" in name for name in suites if name.startswith("ECDHE-"))
    client = ssl.create_default_context(cafile=certificates / "ca.pem")
    async with serving(context) as port:
        assert (await exchange(port, REQUEST + b"\r\n", ssl=client, server_hostname="localhost")).endswith(b"hello")


async def test_suites_that_bcp_195_does_not_recommend_are_refused(certificates: Path) -> None:
    context = tls_context(with_tls(certificates))
    client = ssl.create_default_context(cafile=certificates / "ca.pem")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256")
    async with serving(context) as port:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await exchange(port, REQUEST, ssl=client, server_hostname="localhost")


@pytest.mark.parametrize(
    "environ",
    [
        {"VESTIBULE_PUBLIC_URL": "https://issuer.example"},
        {"VESTIBULE_PUBLIC_URL": "https://localhost:8000"},
        {"VESTIBULE_SERVER__TLS_CERTIFICATE": "/cert.pem", "VESTIBULE_SERVER__TLS_KEY": "/key.pem"},
    ],
    ids=["public", "loopback", "http url with tls"],
)
def test_the_transport_must_be_the_public_urls(environ: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refusal:
        server_config(hello, settings(**environ))
    assert "public_url" in refusal.value.reason


def test_forwarded_headers_are_believed_from_named_proxies_only() -> None:
    assert server_config(hello, settings()).proxy_headers is False
    behind = settings(VESTIBULE_PUBLIC_URL="https://issuer.example", VESTIBULE_SERVER__TRUSTED_PROXIES="10.0.0.1")
    config = server_config(hello, behind)
    assert (config.proxy_headers, config.forwarded_allow_ips) == (True, ["10.0.0.1"])


def test_unusable_certificates_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text("no certificate", encoding="ascii")
    (tmp_path / "server.key").write_text("no key", encoding="ascii")
    with pytest.raises(Refusal) as refusal:
        tls_context(with_tls(tmp_path))
    assert "server.tls_certificate" in refusal.value.reason
