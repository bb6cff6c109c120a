"""The well-known documents: where they are, and whether they are right in themselves."""

from typing import Any

import httpx2
import pytest

from app.provisioning import delete_tenant
from tests.http.well_known import KINDS, inserted, issuer_metadata, members, metadata, urls
from tests.support.documents import OTHER_SLUG, document
from tests.support.raw_wallet import RawWallet
from tests.support.server import RunningServer


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("oauth-authorization-server", marks=pytest.mark.rule("ASM-01", "ASM-02")),
        pytest.param("openid-credential-issuer", marks=pytest.mark.rule("CIM-02", "CIM-03", "CIM-04")),
    ],
)
def test_a_json_document_at_the_inserted_and_the_appended_path(wallet: RawWallet, kind: str) -> None:
    answers = [wallet.http.get(url) for url in (inserted(wallet.issuer, kind), f"{wallet.issuer}/.well-known/{kind}")]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
    assert answers[0].content == answers[1].content
    assert wallet.http.get(inserted(wallet.issuer, kind) + "/").status_code == 404


@pytest.mark.rule("CIM-03", "CIM-04", "CIM-05")
@pytest.mark.parametrize(
    "accept", ["application/json", "application/jwt", "text/html", "*/*", "application/jwt;q=1, */*;q=0"]
)
def test_what_is_not_offered_is_answered_in_json(wallet: RawWallet, accept: str) -> None:
    answer = wallet.http.get(inserted(wallet.issuer, "openid-credential-issuer"), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["credential_issuer"] == wallet.issuer


@pytest.mark.rule("CIM-30", "CIM-23")
def test_every_language_is_in_it_whatever_was_asked_for(own_server: RunningServer) -> None:
    names = [{"name": "Personal ID", "locale": "en"}, {"name": "Personalausweis", "locale": "de-AT"}]
    own_server.apply(document({"credentials": {"pid": {"display": names}}, "tenant": {"display": names}}))
    with own_server.wallet() as wallet:
        for languages in ("de", "en;q=0.5, de-AT", "fr"):
            answer = wallet.http.get(
                inserted(wallet.issuer, "openid-credential-issuer"), headers={"Accept-Language": languages}
            )
            assert "Content-Language" not in answer.headers
            pid = answer.json()["credential_configurations_supported"]["pid"]
            assert pid["credential_metadata"]["display"] == answer.json()["display"] == names


@pytest.mark.rule("O-11")
def test_public_documents_may_be_kept_for_minutes(wallet: RawWallet) -> None:
    for url in (*(inserted(wallet.issuer, kind) for kind in KINDS), f"{wallet.issuer}/jwks.json"):
        policy = wallet.http.get(url).headers["cache-control"]
        assert int(policy.rpartition("max-age=")[2]) <= 300


@pytest.mark.rule("O-12")
def test_other_origins_may_read_public_documents_only(wallet: RawWallet) -> None:
    origin = {"Origin": "https://evil.example"}
    for url in (*(inserted(wallet.issuer, kind) for kind in KINDS), f"{wallet.issuer}/jwks.json"):
        answer = wallet.http.get(url, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "dpop"}
    for path in ("par", "interactive", "token", "nonce", "credential", "authorize", "authorize/answer"):
        url = f"{wallet.issuer}/{path}"
        for answer in (wallet.http.options(url, headers=preflight), wallet.http.post(url, headers=origin)):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert not [name for name in wallet.push(headers=origin).headers if name.startswith("access-control-")]


# What they say


@pytest.mark.rule("ASM-03", "CIM-06", "CIM-01")
def test_the_issuer_is_the_one_the_url_was_made_from(wallet: RawWallet) -> None:
    assert metadata(wallet)["issuer"] == wallet.issuer
    assert issuer_metadata(wallet)["credential_issuer"] == wallet.issuer
    assert not set("?#") & set(wallet.issuer)
    # Case-sensitive.
    for kind in KINDS:
        assert wallet.http.get(inserted(wallet.issuer.replace("pid", "PID"), kind)).status_code == 404


@pytest.mark.rule("CIM-07")
def test_the_issuer_is_its_own_authorization_server(wallet: RawWallet) -> None:
    assert "authorization_servers" not in issuer_metadata(wallet)
    found = wallet.http.get(inserted(issuer_metadata(wallet)["credential_issuer"], "oauth-authorization-server"))
    assert found.json()["issuer"] == wallet.issuer


@pytest.mark.rule("ASM-04")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_them_is_empty(wallet: RawWallet, kind: str) -> None:
    assert [value for value in members(metadata(wallet, kind)) if value is None or value in ([], "", {})] == []


@pytest.mark.rule("ASM-05", "ASM-26")
def test_every_endpoint_is_told_under_the_issuer_and_answers(wallet: RawWallet) -> None:
    told = urls(metadata(wallet)) | urls(issuer_metadata(wallet))
    assert told.keys() == {
        "authorization_endpoint",
        "token_endpoint",
        "pushed_authorization_request_endpoint",
        "interactive_authorization_endpoint",
        "jwks_uri",
        "credential_endpoint",
        "nonce_endpoint",
    }
    for name, url in told.items():
        assert url.startswith(f"{wallet.issuer}/")
        get = name in ("authorization_endpoint", "jwks_uri")
        assert wallet.http.request("GET" if get else "POST", url).status_code in (200, 400, 401, 415)
        assert wallet.http.request("POST" if get else "GET", url).status_code == 405


@pytest.mark.rule("CIM-08", "CIM-10")
def test_what_is_not_served_is_not_told(wallet: RawWallet) -> None:
    document = issuer_metadata(wallet)
    assert document["credential_endpoint"] == f"{wallet.issuer}/credential"
    for name in ("deferred_credential_endpoint", "notification_endpoint"):
        assert name not in document
    assert wallet.credential(wallet.access_token()).json().keys() == {"credentials"}


@pytest.mark.rule("ASM-32", "M-22")
@pytest.mark.parametrize("path", ["/.well-known/{kind}/{slug}", "/{slug}/.well-known/{kind}"])
def test_tenants_that_are_not_here_all_look_alike(own_server: RunningServer, path: str) -> None:
    origin = own_server.url.replace("localhost", "127.0.0.1")
    elsewhere = {"tenant": {"slug": "elsewhere"}, "issuer": {"origin": origin}}
    own_server.apply(document(elsewhere))
    own_server.beside(lambda service: delete_tenant(service.platform, service.clock, OTHER_SLUG))

    def shown(answer: httpx2.Response) -> tuple[Any, ...]:
        headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
        return answer.status_code, headers, answer.content

    slugs = ["never-was", OTHER_SLUG, "elsewhere", "~", "x" * 64, "UPPER"]
    with own_server.wallet() as wallet:
        for kind in KINDS:
            answers = [shown(wallet.http.get(own_server.url + path.format(kind=kind, slug=slug))) for slug in slugs]
            assert {status for status, *_ in answers} == {404}
            assert all(answer == answers[0] for answer in answers)
            assert b"issuer" not in answers[0][2]
        for endpoint in ("par", "interactive", "token", "nonce", "credential", "jwks.json", "authorize"):
            asked = [
                shown(
                    wallet.http.request(
                        "GET" if endpoint in ("jwks.json", "authorize") else "POST",
                        f"{own_server.url}/{slug}/{endpoint}",
                    )
                )
                for slug in slugs
            ]
            assert {status for status, *_ in asked} == {404}
            # Pages name their own request.
            assert endpoint == "authorize" or all(answer == asked[0] for answer in asked)
