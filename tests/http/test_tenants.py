"""Two tenants in one service: nothing of one works, shows or can be told apart at the other."""

import base64
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import pytest
from cryptography import x509

from app.main import Service
from app.protocol import base64url
from tests.http.told import told
from tests.support.documents import OTHER_SLUG, document
from tests.support.raw_wallet import Browser, Key, RawWallet, error_of, redirect_parameters
from tests.support.server import RunningServer


@pytest.fixture
def other(server: RunningServer, wallet: RawWallet) -> Iterator[RawWallet]:
    """The same wallet, same `client_id` and keys, at the other tenant."""
    with server.wallet(OTHER_SLUG, key=wallet.key, holder=wallet.holder, verifier=wallet.verifier) as other:
        yield other


# What one tenant gave out, at the other


@pytest.mark.rule("M-01", "G-08")
def test_a_code_is_unknown_at_the_other_tenant(wallet: RawWallet, other: RawWallet) -> None:
    code = wallet.code()
    refused = other.exchange(code)
    assert error_of(refused) == (400, "invalid_grant")
    assert told(refused) == told(other.exchange(secrets.token_urlsafe(32)))
    assert wallet.exchange(code).status_code == 200


@pytest.mark.rule("M-02", "G-08")
def test_an_access_token_is_unknown_at_the_other_tenant(wallet: RawWallet, other: RawWallet) -> None:
    token = wallet.access_token()
    refused = other.credential(token)
    assert error_of(refused) == (401, "invalid_token")
    header, payload, _ = token.split(".")
    stranger = Key().sign_jwt(
        {**json.loads(base64url.decode(header)), "kid": "unknown"},
        {**json.loads(base64url.decode(payload)), "iss": other.issuer, "aud": other.issuer},
    )
    assert told(refused) == told(other.credential(stranger))
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("M-02")
def test_a_token_that_only_claims_to_be_of_the_other_tenant_is_refused(wallet: RawWallet, other: RawWallet) -> None:
    header, payload, signature = wallet.access_token().split(".")
    renamed = {**json.loads(base64url.decode(payload)), "iss": other.issuer, "aud": other.issuer}
    bent = ".".join([header, base64url.encode(json.dumps(renamed).encode()), signature])
    assert error_of(other.credential(bent)) == (401, "invalid_token")


@pytest.mark.rule("M-03", "G-08")
def test_a_request_uri_is_unknown_at_the_other_tenant(wallet: RawWallet, other: RawWallet, browser: Browser) -> None:
    pushed = wallet.push()
    unknown = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(32)}"
    refused = browser.get(other.authorize_url(pushed))
    assert refused.status_code == 400
    assert "set-cookie" not in refused.headers
    assert told(refused) == told(browser.get(other.authorize_url(pushed, request_uri=unknown)))
    assert wallet.exchange(redirect_parameters(browser.walk(wallet.authorize_url(pushed)))["code"]).status_code == 200


@pytest.mark.rule("M-03", "M-04")
def test_a_pages_form_and_cookie_are_nothing_at_the_other_tenant(
    wallet: RawWallet, other: RawWallet, browser: Browser
) -> None:
    page = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
    [(name, value)] = browser.http.cookies.items()
    form = dict(_hidden(page.text))
    headers = {"Cookie": f"{name}={value}"}

    def answer(**changes: str) -> httpx2.Response:
        data = {**form, "action": "approve", **changes}
        return other.http.post(f"{other.issuer}/authorize/answer", data=data, headers=headers)

    refused = answer()
    assert refused.status_code == 400
    assert "location" not in refused.headers
    unknown = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(32)}"
    assert told(refused) == told(answer(request_uri=unknown))
    assert wallet.exchange(redirect_parameters(browser.submit(page))["code"]).status_code == 200


def _hidden(html: str) -> Iterator[tuple[str, str]]:
    for piece in html.split("<input")[1:]:
        tag = piece.partition(">")[0]
        if 'type="hidden"' in tag:
            yield tag.split('name="')[1].partition('"')[0], tag.split('value="')[1].partition('"')[0]


@pytest.mark.rule("M-03", "M-04")
def test_a_cookie_of_one_tenant_opens_no_page_of_the_other(
    wallet: RawWallet, other: RawWallet, browser: Browser
) -> None:
    signed_in = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
    [value] = browser.http.cookies.values()
    pushed = other.push()
    fresh = other.http.get(other.authorize_url(pushed))
    [(name, own)] = fresh.cookies.items()
    other.http.cookies.clear()
    shown = other.http.get(other.authorize_url(pushed), headers={"Cookie": f"{name}={value}"})
    # Another browser than the one that signed in: the first page, with a cookie of its own.
    assert shown.status_code == 200
    assert 'type="password"' in shown.text
    assert shown.cookies[name] not in (value, own)
    assert browser.submit(signed_in).status_code == 303


@pytest.mark.rule("M-04", "G-08")
def test_a_dpop_nonce_is_dead_at_the_other_tenant(wallet: RawWallet, other: RawWallet) -> None:
    wallet.push()
    refused = other.push(dpop={"nonce": wallet.nonces["as"]})
    assert error_of(refused) == (400, "use_dpop_nonce")
    assert told(refused) == told(other.push(dpop={"nonce": secrets.token_urlsafe(32)}))
    wallet.c_nonce()
    token = other.access_token()
    at_resource = other.credential(token, dpop={"nonce": wallet.nonces["resource"]})
    assert error_of(at_resource) == (401, "use_dpop_nonce")
    assert other.credential(token).status_code == 200


@pytest.mark.rule("M-04", "G-08")
def test_a_c_nonce_is_dead_at_the_other_tenant(wallet: RawWallet, other: RawWallet) -> None:
    token, c_nonce = other.access_token(), wallet.c_nonce()
    refused = other.credential(token, {"proofs": {"jwt": [other.key_proof(c_nonce)]}})
    assert error_of(refused) == (400, "invalid_nonce")
    unknown = other.key_proof(secrets.token_urlsafe(32))
    assert told(refused) == told(other.credential(token, {"proofs": {"jwt": [unknown]}}))
    mine = wallet.key_proof(c_nonce)
    assert wallet.credential(wallet.access_token(), {"proofs": {"jwt": [mine]}}).status_code == 200


@pytest.mark.rule("M-03", "M-04")
def test_an_issuer_state_is_nothing_at_the_other_tenant(
    server: RunningServer, wallet: RawWallet, other: RawWallet
) -> None:
    async def mint(service: Service) -> str:
        tenancy = await service.tenancies.by_slug("pid-provider")
        assert tenancy is not None
        return tenancy.fresh_nonce("issuer_state")

    state = server.beside(mint)
    refused = other.push({"issuer_state": state})
    assert error_of(refused) == (400, "invalid_request")
    assert told(refused) == told(other.push({"issuer_state": secrets.token_urlsafe(32)}))
    assert wallet.push({"issuer_state": state}).status_code == 201


@pytest.mark.rule("M-06")
def test_one_jti_is_spent_at_each_tenant_for_itself(wallet: RawWallet, other: RawWallet) -> None:
    jti = {"jti": secrets.token_urlsafe(12)}
    for at in (wallet, other):
        at.push()
        assert at.push(dpop={"claims": jti}).status_code == 201
        assert error_of(at.push(dpop={"claims": jti, "nonce": at.nonces["as"]})) == (400, "invalid_dpop_proof")


@pytest.mark.rule("C-19")
def test_every_redirect_names_its_own_tenant(wallet: RawWallet, other: RawWallet) -> None:
    for at in (wallet, other):
        with closing(Browser()) as browser:
            assert redirect_parameters(browser.walk(at.authorize_url(at.push())))["iss"] == at.issuer
            refused = browser.submit(browser.get(at.authorize_url(at.push())), {"action": "refuse"})
            assert redirect_parameters(refused)["iss"] == at.issuer


@pytest.mark.rule("M-10")
def test_clients_of_one_name_share_nothing(own_server: RunningServer) -> None:
    own = "https://other.example/cb"
    registered = [{"client_id": "demo-wallet", "name": "Other's Demo", "redirect_uris": [own]}]
    apply_other(own_server, {"clients": {"registered": registered}})
    with own_server.wallet() as wallet, own_server.wallet(OTHER_SLUG) as other:
        assert other.push({"redirect_uri": own}).status_code == 201
        assert error_of(other.push()) == (400, "invalid_request")
        assert error_of(wallet.push({"redirect_uri": own})) == (400, "invalid_request")
        assert error_of(other.push({"client_id": "other-wallet"}))[0] == 401
        assert wallet.push({"client_id": "other-wallet"}).status_code == 201


def apply_other(server: RunningServer, changes: dict[str, Any]) -> None:
    identity = {"slug": OTHER_SLUG, "display": [{"name": "Other Tenant", "locale": "en"}]}
    server.apply(document({"tenant": identity, **changes}))


def _certified(credential: str) -> tuple[str, bytes]:
    """Return the issuer a credential names and the name of who certified its key."""
    head, payload, _ = credential.partition("~")[0].split(".")
    [leaf] = json.loads(base64url.decode(head))["x5c"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(leaf))
    return json.loads(base64url.decode(payload))["iss"], certificate.issuer.public_bytes()


@pytest.mark.rule("M-11")
def test_interleaved_issuances_are_signed_by_their_own_tenant(server: RunningServer) -> None:
    def issue(slug: str) -> list[tuple[str, bytes]]:
        with server.wallet(slug) as wallet:
            token = wallet.access_token()
            issued = [wallet.credential(token).json()["credentials"][0]["credential"] for _ in range(5)]
        return [_certified(credential) for credential in issued]

    def authority(slug: str) -> bytes:
        keys = server.store(lambda store: store.signing_keys.all(), slug)
        [ca] = [key for key in keys if key.purpose == "development_ca"]
        return x509.load_der_x509_certificate(ca.certificate_chain[0]).subject.public_bytes()

    slugs = ["pid-provider", OTHER_SLUG] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(issue, slugs))
    authorities = {slug: authority(slug) for slug in set(slugs)}
    assert authorities["pid-provider"] != authorities[OTHER_SLUG]
    for slug, issued in zip(slugs, found, strict=True):
        assert issued == [(server.issuer(slug), authorities[slug])] * 5
