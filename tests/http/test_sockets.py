"""HTTP below any client library: framing, sizes, slowness, odd heads."""

import socket
import time
from contextlib import suppress

import psutil
import pytest

from app.adapters import server as http_server
from tests.support.raw_http import RawAnswer, exchange, request
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.server import RunningServer

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def host(server: RunningServer) -> str:
    return server.url.removeprefix("http://")


def converse(server: RunningServer, octets: bytes, *, timeout: float = 10) -> tuple[list[bytes], bytes]:
    """Send octets and read until the server closes; return the status codes seen, and everything.

    Raises TimeoutError where the server leaves the connection open.
    """
    with socket.create_connection(("localhost", server.settings.server.port), timeout=timeout) as connection:
        received = b""
        try:
            connection.sendall(octets)
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    return [part[1:4] for part in received.split(b"HTTP/1.1")[1:]], received


def post(server: RunningServer, path: str, *, headers: list[tuple[str, str]], body: bytes = b"") -> RawAnswer:
    sent: list[tuple[str | bytes, str | bytes]] = [*headers]
    return exchange(server.url, request("POST", f"/pid-provider{path}", host=host(server), headers=sent, body=body))


LAST_CHUNK = b"0\r\n\r\n"

FRAMINGS = {
    "CL.TE": (b"Content-Length: 90\r\nTransfer-Encoding: chunked\r\n\r\n", LAST_CHUNK),
    "TE.CL": (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"5\r\na=b&c\r\n" + LAST_CHUNK),
    "unknown coding": (b"Transfer-Encoding: xchunked\r\n\r\n", LAST_CHUNK),
    "chunked is not last": (b"Transfer-Encoding: chunked, identity\r\n\r\n", LAST_CHUNK),
    "two codings": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", LAST_CHUNK),
    "space before the colon": (b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n", LAST_CHUNK),
    "vertical tab": (b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n", LAST_CHUNK),
    "two lengths": (b"Content-Length: 3\r\nContent-Length: 5\r\n\r\n", b"a=b"),
    "list of lengths": (b"Content-Length: 3, 3\r\n\r\n", b"a=b"),
    "signed length": (b"Content-Length: +3\r\n\r\n", b"a=b"),
    "negative length": (b"Content-Length: -3\r\n\r\n", b"a=b"),
    "hexadecimal length": (b"Content-Length: 0x3\r\n\r\n", b"a=b"),
    "length beyond 64 bits": (b"Content-Length: 99999999999999999999999\r\n\r\n", b"a=b"),
    "folded line": (b"X: a\r\n Content-Length: 3\r\n\r\n", b"a=b"),
    "bare LF in the head": (b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"a=b"),
    "bare CR in the head": (b"X: a\rContent-Length: 3\r\n\r\n", b"a=b"),
    "NUL in a value": (b"X: a\0b\r\nContent-Length: 0\r\n\r\n", b""),
    "space in a name": (b"X Y: a\r\nContent-Length: 0\r\n\r\n", b""),
    "bare LF after a chunk": (b"Transfer-Encoding: chunked\r\n\r\n", b"3\na=b\n0\n\n"),
    "bare LF in a chunk extension": (b"Transfer-Encoding: chunked\r\n\r\n", b"3;a=\nxx\r\na=b\r\n" + LAST_CHUNK),
    "negative chunk": (b"Transfer-Encoding: chunked\r\n\r\n", b"-3\r\na=b\r\n" + LAST_CHUNK),
    "chunk beyond 64 bits": (b"Transfer-Encoding: chunked\r\n\r\n", b"fffffffffffffffff\r\na=b\r\n" + LAST_CHUNK),
}


@pytest.mark.rule("O-01")
@pytest.mark.parametrize("name", FRAMINGS)
def test_ambiguous_framing_is_refused_and_the_connection_closed(server: RunningServer, name: str) -> None:
    head, body = FRAMINGS[name]
    start = f"POST /pid-provider/token HTTP/1.1\r\nHost: {host(server)}\r\nContent-Type: {FORM[1]}\r\n".encode()
    smuggled = f"GET /pid-provider/jwks.json HTTP/1.1\r\nHost: {host(server)}\r\n\r\n".encode()
    statuses, received = converse(server, start + head + body + smuggled)
    assert statuses == [b"400"]
    assert b'"keys"' not in received


@pytest.mark.rule("O-01")
def test_requests_in_one_connection_are_kept_apart(server: RunningServer) -> None:
    chunked = b"5\r\na=b&c\r\n1\r\n=\r\n0\r\n\r\n"
    first = request(
        "POST", "/pid-provider/token", host=host(server), headers=[FORM, ("Transfer-Encoding", "chunked")], body=chunked
    ).replace(b"Connection: close\r\n", b"")
    second = request("GET", "/pid-provider/jwks.json", host=host(server))
    statuses, received = converse(server, first + second)
    assert statuses == [b"400", b"200"]
    assert received.count(b'"keys"') == 1


# Sizes


@pytest.mark.rule("O-02")
@pytest.mark.parametrize(
    ("path", "limit"),
    [("/par", 64 * 1024), ("/token", 64 * 1024), ("/interactive", 1024 * 1024), ("/authorize/answer", 64 * 1024)],
)
def test_a_form_over_the_limit_is_refused(server: RunningServer, path: str, limit: int) -> None:
    assert post(server, path, headers=[FORM], body=b"a=" + b"b" * limit).status == 413
    assert post(server, path, headers=[FORM], body=b"a=" + b"b" * (limit - 2)).status == 400


def test_a_length_of_many_zeros_is_a_length(server: RunningServer) -> None:
    answer = post(server, "/token", headers=[FORM, ("Content-Length", "0" * 5000 + "3")], body=b"a=b")
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.rule("O-02")
def test_a_credential_request_over_the_limit_is_refused(wallet: RawWallet) -> None:
    token = wallet.access_token()
    answer = wallet.credential(token, {"padding": "b" * 256 * 1024})
    assert error_of(answer) == (413, "invalid_credential_request")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("O-02")
@pytest.mark.parametrize("body", [b"&".join([b"a=b"] * 16_000), b"&" * 60_000], ids=["fields", "separators"])
def test_a_form_of_many_fields_is_refused(server: RunningServer, body: bytes) -> None:
    answer = post(server, "/token", headers=[FORM], body=body)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.rule("O-02")
def test_an_endless_body_is_cut_off_and_memory_stays_flat(server: RunningServer) -> None:
    head = request(
        "POST", "/pid-provider/token", host=host(server), headers=[FORM, ("Transfer-Encoding", "chunked")]
    ).replace(b"Connection: close\r\n", b"")
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    before = psutil.Process().memory_info().rss
    sent, received = 0, b""
    with socket.create_connection(("localhost", server.settings.server.port), timeout=10) as connection:
        connection.sendall(head)
        while sent < 64 * 1024 * 1024:
            connection.sendall(chunk)
            sent += len(chunk)
        received = connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert psutil.Process().memory_info().rss - before < 16 * 1024 * 1024


@pytest.mark.rule("O-02")
@pytest.mark.parametrize("path", ["/par", "/token", "/interactive", "/authorize/answer"])
@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "multipart/form-data; boundary=x")],
        [FORM, ("Content-Encoding", "gzip")],
        [FORM, ("Content-Encoding", "deflate, gzip")],
    ],
    ids=["multipart", "gzip", "two encodings"],
)
def test_what_would_have_to_be_unpacked_is_refused(
    server: RunningServer, path: str, headers: list[tuple[str, str]]
) -> None:
    assert post(server, path, headers=headers, body=b"\x1f\x8b\x08" + b"\0" * 1000).status == 415


# Slowness


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)


@pytest.mark.rule("O-02")
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("path", "body"),
    [("/token", b""), ("/token", b"grant_type=auth"), ("/credential", b"{"), ("/nonce", b"a"), ("/nowhere", b"a")],
)
def test_a_body_that_does_not_arrive_ends_the_connection(server: RunningServer, path: str, body: bytes) -> None:
    head = request(
        "POST", f"/pid-provider{path}", host=host(server), headers=[FORM, ("Content-Length", "5000")]
    ).replace(b"Connection: close\r\n", b"")
    statuses, _ = converse(server, head + body)
    assert b"200" not in statuses or path == "/nonce"
    assert not any(status.startswith(b"5") for status in statuses)


@pytest.mark.rule("O-02")
@pytest.mark.usefixtures("impatient")
def test_a_body_drop_by_drop_ends_the_connection(server: RunningServer) -> None:
    head = request("POST", "/pid-provider/token", host=host(server), headers=[FORM, ("Content-Length", "5000")])
    with socket.create_connection(("localhost", server.settings.server.port), timeout=10) as connection:
        connection.sendall(head)
        drops = 0
        with suppress(ConnectionError):
            while drops < 400:
                connection.sendall(b"a")
                drops += 1
                time.sleep(0.025)
    assert 0 < drops < 300


def kept(server: RunningServer, method: str, path: str, *headers: tuple[str, str]) -> bytes:
    """A request whose connection stays open."""
    whole = request(method, path, host=host(server), headers=[*headers])
    return whole.replace(b"Connection: close\r\n", b"")


def receive_answer(connection: socket.socket) -> bytes:
    """Read one answer in JSON."""
    answer = b""
    while not answer.endswith(b"}"):
        chunk = connection.recv(65536)
        assert chunk, answer
        answer += chunk
    return answer


@pytest.mark.rule("O-02")
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("length", [0, 100_000], ids=["an empty line", "the rest of a refused body"])
def test_what_follows_an_answer_keeps_no_connection_open(server: RunningServer, length: int) -> None:
    with socket.create_connection(("localhost", server.settings.server.port), timeout=10) as connection:
        connection.sendall(kept(server, "POST", "/pid-provider/nonce", ("Content-Length", str(length))))
        assert receive_answer(connection).startswith(b"HTTP/1.1 413 " if length else b"HTTP/1.1 200 ")
        connection.sendall(b"a" * length or b"\r\n")
        assert connection.recv(65536) == b""


@pytest.mark.rule("O-02")
def test_the_rest_of_a_refused_body_is_no_head(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # So low that any piece of the body is longer.
    monkeypatch.setattr(http_server, "HEAD_LIMIT", 1)
    refused = kept(server, "POST", "/pid-provider/nonce", ("Content-Length", "500000"))
    with socket.create_connection(("localhost", server.settings.server.port), timeout=10) as connection:
        connection.sendall(refused)
        assert receive_answer(connection).startswith(b"HTTP/1.1 413 ")
        connection.sendall(b"a" * 500_000)
        time.sleep(0.1)
        connection.sendall(kept(server, "GET", "/healthz"))
        assert receive_answer(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.rule("O-02")
@pytest.mark.usefixtures("impatient")
def test_slow_connections_keep_nobody_waiting(server: RunningServer, wallet: RawWallet) -> None:
    head = request("POST", "/pid-provider/par", host=host(server), headers=[FORM, ("Content-Length", "5000")])
    slow = [socket.create_connection(("localhost", server.settings.server.port), timeout=10) for _ in range(100)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(head if number % 2 else head[:40])
        assert wallet.push().status_code == 201
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_hangs_up_is_no_failure_of_ours(
    server: RunningServer, wallet: RawWallet, capsys: pytest.CaptureFixture[str]
) -> None:
    head = request("POST", "/pid-provider/token", host=host(server), headers=[FORM, ("Content-Length", "5000")])
    with socket.create_connection(("localhost", server.settings.server.port), timeout=10) as connection:
        connection.sendall(head + b"grant_type=")
    assert wallet.push().status_code == 201
    logged = capsys.readouterr()
    assert "unexpected" not in logged.out + logged.err
    assert "server_error" not in logged.out + logged.err
