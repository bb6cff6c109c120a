"""Which tenant a request is for: one spelling of its address, and none once it is gone."""

from collections.abc import Callable
from contextlib import closing

import httpx2
import pytest
from sqlalchemy import update

from app.adapters.db.tables import tenants
from app.provisioning import delete_tenant
from tests.http.told import told
from tests.support.documents import OTHER_SLUG
from tests.support.raw_http import exchange, request
from tests.support.raw_wallet import Browser, RawWallet, error_of
from tests.support.served import change
from tests.support.server import RunningServer

ENDPOINTS = [
    ("GET", "/jwks.json"),
    ("GET", "/authorize"),
    ("POST", "/authorize/answer"),
    ("POST", "/par"),
    ("POST", "/interactive"),
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
    change(server, update(tenants).where(tenants.c.slug == "pid-provider").values(status="suspended"))


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
        change(own_server, update(tenants).values(status="active"))
        assert wallet.credential(token).status_code == 200
