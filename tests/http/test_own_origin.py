"""A tenant with an origin of its own: its issuer is that origin, and nothing of it is found under the public URL."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

from app.document_rules.rules import Surroundings, check
from tests.http.issued import assert_refused, decoded, issued
from tests.support.documents import document
from tests.support.raw_wallet import Browser, RawWallet, error_of, redirect_parameters
from tests.support.server import RunningServer

KINDS = ["oauth-authorization-server", "openid-credential-issuer"]
POSTED = ["par", "interactive", "token", "nonce", "credential"]


@pytest.fixture(scope="module")
def origin(server: RunningServer) -> str:
    """The origin of `pid-provider` in this module: the same server under its number, which is no alias of its name."""
    origin = server.url.replace("localhost", "127.0.0.1")
    moved = document({"issuer": {"origin": origin}})
    assert check(moved, Surroundings(public_url=server.url, demo=False)) == []
    server.apply(moved)
    return origin


@pytest.fixture
def at_home(server: RunningServer, origin: str) -> Iterator[RawWallet]:
    """A wallet at that origin."""
    with RawWallet(origin, server.clock) as wallet:
        yield wallet


@pytest.mark.rule("ASM-01", "ASM-03", "CIM-02")
def test_the_issuer_is_the_origin_and_its_documents_lie_at_the_root(at_home: RawWallet) -> None:
    for kind, member in zip(KINDS, ("issuer", "credential_issuer"), strict=True):
        told = at_home.http.get(f"{at_home.issuer}/.well-known/{kind}").json()
        assert told[member] == at_home.issuer
        for name, url in told.items():
            if name.endswith(("_endpoint", "_uri")):
                assert url.startswith(f"{at_home.issuer}/")
                assert urlsplit(url).path.count("/") == 1
                assert at_home.http.post(url).status_code in (200, 400, 401, 405, 415)


@pytest.mark.rule("M-07")
def test_no_other_form_of_it_is_served(server: RunningServer, at_home: RawWallet) -> None:
    for kind in KINDS:
        for path in (f"/.well-known/{kind}/{{}}", f"/{{}}/.well-known/{kind}"):
            for base in (server.url, at_home.issuer):
                for slug in ("pid-provider", "~"):
                    assert at_home.http.get(base + path.format(slug)).status_code == 404
        # Nor the other tenant at this one's origin.
        assert at_home.http.get(f"{at_home.issuer}/.well-known/{kind}/other-tenant").status_code == 404
    for base in (server.url, at_home.issuer):
        for slug in ("pid-provider", "~"):
            for endpoint in POSTED:
                assert at_home.http.post(f"{base}/{slug}/{endpoint}").status_code == 404
    assert at_home.http.post(f"{at_home.issuer}/other-tenant/nonce").status_code == 404
    assert at_home.http.post(f"{server.url}/other-tenant/nonce").status_code == 200


@pytest.mark.rule("M-07", "O-20")
@pytest.mark.parametrize("host", ["evil.example", "own.localhost", "[::1]", "127.0.0.1", "127.0.0.1.evil.example"])
def test_an_unknown_host_is_misdirected(at_home: RawWallet, host: str) -> None:
    port = urlsplit(at_home.issuer).port
    for name in (f"{host}:{port}" if host != "127.0.0.1" else host, f"{host}:1"):
        for endpoint in POSTED:
            answer = at_home.http.post(f"{at_home.issuer}/{endpoint}", headers={"Host": name})
            code = "invalid_credential_request" if endpoint == "credential" else "invalid_request"
            assert error_of(answer) == (421, code)
        for kind in KINDS:
            answer = at_home.http.get(f"{at_home.issuer}/.well-known/{kind}", headers={"Host": name})
            assert error_of(answer) == (421, "invalid_request")
            assert host not in answer.text
    assert at_home.http.get(f"{at_home.issuer}/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.rule("CIM-06", "CIM-07", "ASM-16")
def test_the_whole_journey(at_home: RawWallet, browser: Browser) -> None:
    page = browser.get(at_home.authorize_url(at_home.push()))
    assert f'action="{at_home.issuer}/authorize/answer"' in page.text
    styles = urljoin(str(page.url), page.text.partition('rel="stylesheet" href="')[2].partition('"')[0])
    assert browser.get(styles).headers["content-type"].startswith("text/css")
    answer = redirect_parameters(browser.submit(browser.sign_in(page)))
    assert answer["iss"] == at_home.issuer
    token = at_home.exchange(answer["code"]).json()["access_token"]
    claims = decoded(token.split(".")[1])
    assert (claims["iss"], claims["aud"]) == (at_home.issuer, at_home.issuer)
    assert issued(at_home.credential(token)).payload["iss"] == at_home.issuer


@pytest.mark.rule("CR-09", "DP-25", "DP-22")
def test_errors_are_in_the_endpoints_own_words_here_too(at_home: RawWallet) -> None:
    url = f"{at_home.issuer}/credential"
    twice = {
        "Authorization": (400, "invalid_request"),
        "DPoP": (401, "invalid_dpop_proof"),
        "Content-Type": (400, "invalid_credential_request"),
    }
    for name, refusal in twice.items():
        assert_refused(at_home.http.post(url, headers=[(name, "DPoP x"), (name, "DPoP y")]), *refusal)
    assert_refused(at_home.http.get(url), 405, "invalid_credential_request")
    page = at_home.http.get(f"{at_home.issuer}/authorize", headers=[("Cookie", "a=1"), ("Cookie", "b=2")])
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (400, "text/html")


@pytest.mark.rule("PRF-05", "M-04", "TOK-19")
def test_values_of_the_old_issuer_are_none_of_the_new(own_server: RunningServer) -> None:
    """The keys are the same: what tells them apart is the issuer."""
    origin = own_server.url.replace("localhost", "127.0.0.1")
    with own_server.wallet() as before, RawWallet(origin, own_server.clock) as after:
        after.key, token = before.key, before.access_token()
        own_server.apply(document({"issuer": {"origin": origin}}))
        assert_refused(after.credential(token), 401, "invalid_token")
        token = after.access_token()
        proofs = {"jwt": [after.key_proof(after.c_nonce(), claims={"aud": before.issuer})]}
        assert_refused(after.credential(token, {"proofs": proofs}), 400, "invalid_proof")
        proof = after.dpop("POST", f"{before.issuer}/token", nonce=after.nonces["as"])
        assert error_of(after.exchange("code", dpop=proof)) == (400, "invalid_dpop_proof")
        assert after.credential(token).status_code == 200
        # And back again.
        own_server.apply(document())
        assert after.http.post(f"{origin}/nonce").status_code == 421
        assert before.credential(before.access_token()).status_code == 200
