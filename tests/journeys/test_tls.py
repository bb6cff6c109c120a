"""The journey over TLS with the development CA: what only https has."""

import socket
import ssl
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from app.adapters.development_certificates import make_development_certificate
from app.adapters.system import SystemClock
from app.wallet.http import Exchange
from app.wallet.offer import CredentialOffer
from tests.journeys.wallets import get_credentials, wallet_http
from tests.support.raw_wallet import Browser, redirect_parameters
from tests.support.served import serving
from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    # By the real clock: the TLS library of the clients knows no other.
    make_development_certificate(folder, ["localhost"], SystemClock(), force=False)
    return folder


@pytest.fixture(scope="module")
def https_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[RunningServer]:
    tls = (certificates / "server.pem", certificates / "server.key")
    with serving(request, "sqlite", tmp_path_factory.mktemp("https"), tls=tls) as running:
        yield running


@pytest.fixture
def trusting(certificates: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates / "ca.pem")


def metadata(server: RunningServer, document: str, trusting: ssl.SSLContext) -> dict[str, Any]:
    with wallet_http(lambda _: None, trusting) as http:
        return http.send("GET", f"{server.url}/.well-known/{document}/pid-provider", "metadata").require(200)


def test_the_wallet_gets_a_credential_over_tls(
    https_server: RunningServer, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    seen: list[Exchange] = []
    wanted = CredentialOffer(https_server.issuer(), ("pid",))
    [(stored, verified)] = get_credentials(https_server, tmp_path, wanted, trusting=trusting, exchanges=seen)
    assert verified.anchored
    assert verified.claims["family_name"] == "Mustermann"
    assert stored.credential_issuer.startswith("https://")
    assert len(seen) > 8
    assert all(exchange.url.startswith("https://") for exchange in seen)


@pytest.mark.rule("ASM-03", "ASM-05", "ASM-26")
def test_every_url_of_the_authorization_server_is_https(https_server: RunningServer, trusting: ssl.SSLContext) -> None:
    document = metadata(https_server, "oauth-authorization-server", trusting)
    assert document["issuer"] == https_server.issuer() == f"{https_server.url}/pid-provider"
    assert https_server.url.startswith("https://")
    urls = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "pushed_authorization_request_endpoint"} <= urls.keys()
    assert all(url.startswith(f"{https_server.issuer()}/") for url in urls.values())
    assert "http://" not in str(document)


@pytest.mark.rule("CIM-01", "CIM-08")
def test_every_url_of_the_credential_issuer_is_https(https_server: RunningServer, trusting: ssl.SSLContext) -> None:
    document = metadata(https_server, "openid-credential-issuer", trusting)
    assert document["credential_issuer"] == https_server.issuer()
    assert document["credential_endpoint"] == f"{https_server.issuer()}/credential"
    assert document["nonce_endpoint"] == f"{https_server.issuer()}/nonce"
    assert "http://" not in str(document)


def _handshake(server: RunningServer, context: ssl.SSLContext) -> str | None:
    port = int(server.url.rsplit(":", 1)[1])
    with (
        socket.create_connection(("localhost", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.version()


@pytest.mark.rule("G-01")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_handshake_succeeds_from_tls_1_2_on(
    https_server: RunningServer, trusting: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    trusting.minimum_version = trusting.maximum_version = version
    assert _handshake(https_server, trusting) == version.name.replace("_", ".")


@pytest.mark.rule("G-01")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_tls_is_refused(https_server: RunningServer, trusting: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    trusting.minimum_version = version
    trusting.maximum_version = version
    # The library's default security level would not even offer it.
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as refused:
        _handshake(https_server, trusting)
    assert "NO_PROTOCOLS" not in str(refused.value)


@pytest.mark.rule("G-01")
def test_plain_http_on_the_port_gets_no_answer(https_server: RunningServer) -> None:
    port = int(https_server.url.rsplit(":", 1)[1])
    with socket.create_connection(("localhost", port), timeout=10) as plain:
        plain.sendall(b"GET /pid-provider/jwks.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try:
            answer = plain.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP/" not in answer


def _cookie(headers: Any) -> Any:
    [(name, morsel)] = SimpleCookie(headers["set-cookie"]).items()
    return name, morsel


@pytest.mark.rule("C-20")
def test_the_flows_cookie_is_pinned_to_the_host_and_ends_with_the_flow(
    https_server: RunningServer, trusting: ssl.SSLContext
) -> None:
    browser = Browser(trusting)
    with https_server.wallet(verify=trusting) as wallet:
        page = browser.get(wallet.authorize_url(wallet.push()))
        name, morsel = _cookie(page.headers)
        assert name.startswith("__Host-vestibule-")
        assert morsel["secure"]
        assert morsel["httponly"]
        assert (morsel["path"], morsel["domain"], morsel["samesite"].lower()) == ("/", "", "lax")
        assert morsel["max-age"] == ""
        done = browser.submit(browser.sign_in(page))
        assert wallet.exchange(redirect_parameters(done)["code"]).status_code == 200
        ended_name, ended = _cookie(done.headers)
        # A browser takes the end of a `__Host-` cookie only in the same form as its beginning.
        assert (ended_name, ended.value, ended["max-age"], ended["path"]) == (name, "", "0", "/")
        assert ended["secure"]
        assert not browser.http.cookies
    browser.close()
