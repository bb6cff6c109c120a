"""Two tenants in one service: nothing of one works, shows or can be told apart at the other."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import pytest
from cryptography import x509
from sqlalchemy import update

from app.adapters.db.tables import tenants
from app.main import Service
from app.protocol import base64url
from app.provisioning import delete_tenant
from tests.support.documents import OTHER_SLUG, document
from tests.support.raw_http import exchange, request
from tests.support.raw_wallet import Browser, Key, RawWallet, error_of, redirect_parameters
from tests.support.server import RunningServer


@pytest.fixture
def other(server: RunningServer, wallet: RawWallet) -> Iterator[RawWallet]:
    """The same wallet, same `client_id` and keys, at the other tenant."""
    with server.wallet(OTHER_SLUG, key=wallet.key, holder=wallet.holder, verifier=wallet.verifier) as other:
        yield other


def told(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything an answer tells, but for what is fresh each time."""
    fresh = {"date", "x-request-id", "dpop-nonce"}
    headers = {name: value for name, value in answer.headers.items() if name not in fresh}
    return answer.status_code, answer.content.replace(answer.headers["x-request-id"].encode(), b"(id)"), headers


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


# Which tenant was meant


ENDPOINTS = [
    ("GET", "/jwks.json"),
    ("GET", "/authorize"),
    ("POST", "/authorize/answer"),
    ("POST", "/par"),
    ("POST", "/token"),
    ("POST", "/nonce"),
    ("POST", "/credential"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-credential-issuer"),
]

TRICKS = [
    "/other-tenant/../pid-provider{path}",
    "/./pid-provider{path}",
    "//pid-provider{path}",
    "/pid-provider/{path}",
    "/pid-provider{path}/",
    "/pid-provider/.{path}",
    "/pid-provider;x=1{path}",
    "/pid-provider%2f{path}",
    "/other-tenant%2f..%2fpid-provider{path}",
    "/other-tenant/%2e%2e/pid-provider{path}",
    "/other-tenant/%2E%2E/pid-provider{path}",
    "/pid%2dprovider{path}",
    "/PID-PROVIDER{path}",
    "/Pid-Provider{path}",
    "/pid-provider.{path}",
    "/pid-provider%00{path}",
    "/pid-provider%20{path}",
    "/pid-provider%c2%ad{path}",
    "/%EF%BD%90id-provider{path}",
    "/~{path}",
    "/other-tenant\\..\\pid-provider{path}",
    "/.well-known/oauth-authorization-server/other-tenant/../pid-provider{path}",
    "/.well-known/openid-credential-issuer/pid-provider/other-tenant",
    "/.well-known/oauth-authorization-server/pid-provider%2f",
    "/.well-known/oauth-authorization-server/pid-provider/",
    "/.well-known/oauth-authorization-server//pid-provider",
]


@pytest.mark.rule("M-08")
@pytest.mark.parametrize("trick", TRICKS)
def test_only_the_one_spelling_of_a_path_is_served(server: RunningServer, trick: str) -> None:
    host = server.url.removeprefix("http://")
    form: list[tuple[str | bytes, str | bytes]] = [("Content-Type", "application/x-www-form-urlencoded")]
    for method, path in ENDPOINTS:
        answer = exchange(server.url, request(method, trick.format(path=path), host=host, headers=form))
        assert answer.status in (400, 404), (trick, path)
        assert "location" not in answer.headers
        assert b'"issuer"' not in answer.body
        assert b'"keys"' not in answer.body


@pytest.mark.rule("M-08", "M-07")
def test_metadata_names_the_tenant_that_was_asked_for(server: RunningServer, wallet: RawWallet) -> None:
    documents = {"oauth-authorization-server": "issuer", "openid-credential-issuer": "credential_issuer"}
    for slug in ("pid-provider", OTHER_SLUG):
        hints = {"X-Tenant": "pid-provider", "X-Forwarded-Prefix": "/pid-provider", "X-Forwarded-Host": "a.example"}
        for kind, member in documents.items():
            inserted = wallet.http.get(f"{server.url}/.well-known/{kind}/{slug}", headers=hints).json()
            appended = wallet.http.get(f"{server.issuer(slug)}/.well-known/{kind}", headers=hints).json()
            assert inserted == appended
            assert inserted[member] == server.issuer(slug)


# Tenants that are not there any more


def suspend(server: RunningServer) -> None:
    async def change(service: Service) -> None:
        statement = update(tenants).where(tenants.c.slug == "pid-provider").values(status="suspended")
        await service.transactions.write(lambda connection: connection.execute(statement))

    server.beside(change)


def delete(server: RunningServer) -> None:
    server.beside(lambda service: delete_tenant(service.platform, service.clock, "pid-provider"))


def answers_of(server: RunningServer, slug: str) -> list[tuple[int, bytes, dict[str, str]]]:
    with httpx2.Client() as client:
        urls = [(method, f"{server.issuer(slug)}{path}") for method, path in ENDPOINTS]
        urls += [
            ("GET", f"{server.url}/.well-known/{kind}/{slug}")
            for kind in ("oauth-authorization-server", "openid-credential-issuer")
        ]
        return [told(client.request(method, url)) for method, url in urls]


@pytest.mark.rule("M-22", "M-19")
@pytest.mark.parametrize("end", [suspend, delete])
def test_a_tenant_that_is_gone_looks_like_one_that_never_was(
    own_server: RunningServer, end: Callable[[RunningServer], None]
) -> None:
    never = answers_of(own_server, "never-was")
    assert {status for status, _, _ in never} == {404}
    assert answers_of(own_server, "pid-provider") != never
    end(own_server)
    assert answers_of(own_server, "pid-provider") == never


@pytest.mark.rule("M-19")
@pytest.mark.parametrize("end", [suspend, delete])
def test_nothing_of_a_tenant_that_is_gone_works(
    own_server: RunningServer, end: Callable[[RunningServer], None]
) -> None:
    with own_server.wallet() as wallet, own_server.wallet(OTHER_SLUG) as other, closing(Browser()) as browser:
        token, code, pushed, c_nonce = wallet.access_token(), wallet.code(), wallet.push(), wallet.c_nonce()
        page = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
        proofs = {"proofs": {"jwt": [wallet.key_proof(c_nonce)]}}
        end(own_server)
        assert error_of(wallet.credential(token, proofs))[0] == 404
        assert error_of(wallet.exchange(code))[0] == 404
        assert browser.get(wallet.authorize_url(pushed)).status_code == 404
        late = browser.submit(page)
        assert late.status_code == 404
        assert "location" not in late.headers
        # Its signed token is worth nothing elsewhere either, and the other tenant goes on.
        assert error_of(other.credential(token)) == (401, "invalid_token")
        assert other.credential(other.access_token()).status_code == 200


@pytest.mark.rule("M-19")
def test_what_was_given_out_before_a_pause_works_after_it(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        token = wallet.access_token()
        suspend(own_server)
        assert error_of(wallet.exchange("x"))[0] == 404

        async def resume(service: Service) -> None:
            statement = update(tenants).values(status="active")
            await service.transactions.write(lambda connection: connection.execute(statement))

        own_server.beside(resume)
        assert wallet.credential(token).status_code == 200
