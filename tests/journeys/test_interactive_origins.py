"""Which origin presentations are made for: the endpoint's, over TLS and at an origin of the tenant's own."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.development_certificates import make_development_certificate
from app.adapters.system import SystemClock
from tests.support.campus import academy
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import error_of
from tests.support.served import serving


@pytest.fixture
def over_tls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InteractiveWallet]:
    """A wallet at `academy`, over TLS with the development CA."""
    # By the real clock: the TLS library of the wallet knows no other.
    make_development_certificate(tmp_path, ["localhost"], SystemClock(), force=False)
    tls = (tmp_path / "server.pem", tmp_path / "server.key")
    trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with (
        serving(request, "sqlite", tmp_path, academy(), tls=tls) as server,
        interactive_wallet(server, "academy", verify=trusting) as wallet,
    ):
        yield wallet


def pid(wallet: InteractiveWallet) -> str:
    return PID_ISSUER.issue(holder=wallet.holder.private).text


@pytest.mark.rule("VPB-01", "ASM-18", "VPB-13")
def test_over_tls_it_is_https(over_tls: InteractiveWallet) -> None:
    document = over_tls.http.get(f"{over_tls.issuer}/.well-known/oauth-authorization-server").json()
    endpoint = document["interactive_authorization_endpoint"]
    assert endpoint == over_tls.endpoint
    assert endpoint.startswith("https://localhost:")
    origin = endpoint.removesuffix("/academy/interactive")
    for audience in (origin.replace("https:", "http:"), "https://localhost", f"{origin}/academy"):
        refused = over_tls.show(over_tls.begin(), pid(over_tls), claims={"aud": f"iae:{audience}"})
        assert error_of(refused) == (400, "access_denied")
    taken = over_tls.show(over_tls.begin(), pid(over_tls), claims={"aud": f"iae:{origin}"})
    assert taken.status_code == 200


@pytest.mark.rule("IA-34")
def test_over_tls_a_browser_is_sent_back_over_https(over_tls: InteractiveWallet) -> None:
    for scope in ("visitor-card", "diploma"):
        plain = over_tls.begin({"scope": scope, "redirect_uri": "http://wallet.example/cb"})
        assert error_of(plain) == (400, "invalid_request")
        assert over_tls.begin({"scope": scope, "redirect_uri": "https://wallet.example/cb"}).status_code == 200


@pytest.mark.rule("VPB-01", "VPB-03", "M-05")
def test_a_tenant_of_its_own_origin_has_its_own_audience(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with serving(request, "sqlite", tmp_path, academy()) as server:
        # The same server under its number, which is no alias of its name.
        origin = server.url.replace("localhost", "127.0.0.1")
        server.apply(academy("apart", {"issuer": {"origin": origin}}))
        with InteractiveWallet(origin, server.clock) as wallet:
            for audience in (server.url, f"{server.url}/apart"):
                refused = wallet.show(wallet.begin(), pid(wallet), claims={"aud": f"iae:{audience}"})
                assert error_of(refused) == (400, "access_denied")
            assert wallet.show(wallet.begin(), pid(wallet)).status_code == 200
        # And a presentation for it is none at a tenant of the shared origin.
        with interactive_wallet(server, "academy") as wallet:
            refused = wallet.show(wallet.begin(), pid(wallet), claims={"aud": f"iae:{origin}"})
            assert error_of(refused) == (400, "access_denied")
