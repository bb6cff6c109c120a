"""Pushed authorization requests over HTTP: what is accepted, and that a refused push leaves nothing behind."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.http.state import count_rows, nothing_stored
from tests.support.raw_wallet import ABSENT, Browser, Key, RawWallet, error_of
from tests.support.server import RunningServer

PREFIX = "urn:ietf:params:oauth:request_uri:"
PID_DETAILS = json.dumps([{"type": "openid_credential", "credential_configuration_id": "pid"}])


def refused(server: RunningServer, send: Callable[[], httpx2.Response], status: int, code: str) -> httpx2.Response:
    """Assert that what is sent is refused in OAuth's words and leaves nothing behind; return the answer."""
    with nothing_stored(server):
        answer = send()
    assert error_of(answer) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers
    assert set(answer.json()) <= {"error", "error_description"}
    return answer


@pytest.mark.rule("PAR-05", "PAR-06", "PAR-10")
def test_an_accepted_push_is_answered_with_a_short_lived_urn(server: RunningServer, wallet: RawWallet) -> None:
    before = count_rows(server, "sessions")
    answer = wallet.push()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert {word.strip() for word in answer.headers["cache-control"].split(",")} == {"no-cache", "no-store"}
    assert set(answer.json()) == {"request_uri", "expires_in"}
    assert answer.json()["expires_in"] == 60
    assert answer.json()["request_uri"].startswith(PREFIX)
    assert "DPoP-Nonce" in answer.headers
    assert count_rows(server, "sessions") == before + 1


@pytest.mark.rule("G-11", "PAR-06")
def test_request_uris_cannot_be_guessed(wallet: RawWallet) -> None:
    handles = [wallet.push(dpop=False).json()["request_uri"].removeprefix(PREFIX) for _ in range(150)]
    assert {len(handle) for handle in handles} == {43}, "256 bits in base64url"
    assert len(set(handles)) == len(handles)
    # A counter, a time or a tenant in it would show as a place that hardly varies (the last one carries four bits).
    assert min(len({handle[place] for handle in handles}) for place in range(42)) >= 40


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"client_id": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("PAR-04")),
        pytest.param({"client_id": ""}, 400, "invalid_request", marks=pytest.mark.rule("PAR-04", "G-07")),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", marks=pytest.mark.rule("PAR-01", "C-08")),
        pytest.param({"client_id": "retired-wallet"}, 401, "invalid_client", marks=pytest.mark.rule("PAR-01", "C-08")),
        pytest.param({"client_secret": "s"}, 401, "invalid_client", marks=pytest.mark.rule("PAR-01")),
        pytest.param({"client_assertion": "e30.e30."}, 401, "invalid_client", marks=pytest.mark.rule("PAR-01")),
        pytest.param({"request_uri": PREFIX + "x"}, 400, "invalid_request", marks=pytest.mark.rule("PAR-02")),
        pytest.param({"redirect_uri": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("PAR-22", "PAR-11")),
        pytest.param({"redirect_uri": ""}, 400, "invalid_request", marks=pytest.mark.rule("G-07")),
        pytest.param(
            {"redirect_uri": "https://evil.example/cb"},
            400,
            "invalid_request",
            marks=pytest.mark.rule("PAR-03", "PAR-11", "PAR-18"),
        ),
        pytest.param(
            {"redirect_uri": "http://wallet.example/cb"}, 400, "invalid_request", marks=pytest.mark.rule("AZ-06")
        ),
        pytest.param({"response_type": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("PAR-22", "AZ-03")),
        pytest.param({"response_type": "token"}, 400, "unsupported_response_type", marks=pytest.mark.rule("AZ-03")),
        pytest.param({"code_challenge": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("PAR-22", "AZ-15")),
        pytest.param({"code_challenge_method": ABSENT}, 400, "invalid_request", marks=pytest.mark.rule("AZ-16")),
        pytest.param({"code_challenge_method": "plain"}, 400, "invalid_request", marks=pytest.mark.rule("AZ-15")),
        pytest.param({"code_challenge": "too-short"}, 400, "invalid_request", marks=pytest.mark.rule("AZ-17")),
        pytest.param({"scope": "unknown"}, 400, "invalid_scope", marks=pytest.mark.rule("PAR-03")),
        pytest.param({"scope": "withdrawn"}, 400, "invalid_scope", marks=pytest.mark.rule("PAR-03")),
        pytest.param({"scope": ABSENT}, 400, "invalid_scope", marks=pytest.mark.rule("PAR-03")),
        pytest.param({"resource": "https://evil.example"}, 400, "invalid_target", marks=pytest.mark.rule("AZ-25")),
        pytest.param(
            {"authorization_details": PID_DETAILS.replace("pid", "unknown")},
            400,
            "invalid_authorization_details",
            marks=pytest.mark.rule("PAR-24", "AZ-18"),
        ),
        pytest.param(
            {"authorization_details": "not json"},
            400,
            "invalid_authorization_details",
            marks=pytest.mark.rule("PAR-24", "AZ-18"),
        ),
        ({"dpop_jkt": "not a thumbprint"}, 400, "invalid_request"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    server: RunningServer, wallet: RawWallet, changes: dict[str, Any], status: int, code: str
) -> None:
    wallet.push()
    refused(server, lambda: wallet.push(changes), status, code)
    assert wallet.push().status_code == 201


@pytest.mark.rule("PAR-01", "C-08")
def test_credentials_nobody_asked_for_are_no_authentication(server: RunningServer, wallet: RawWallet) -> None:
    headers = {"Authorization": "Basic ZGVtby13YWxsZXQ6c2VjcmV0"}
    answer = refused(server, lambda: wallet.push(dpop=False, headers=headers), 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert wallet.push(dpop=False).status_code == 201


@pytest.mark.rule("O-10")
def test_unknown_and_retired_clients_are_answered_alike(wallet: RawWallet) -> None:
    unknown = wallet.push({"client_id": "nobody"}, dpop=False)
    retired = wallet.push({"client_id": "retired-wallet"}, dpop=False)
    assert (unknown.status_code, unknown.content) == (retired.status_code, retired.content)
    alike = [
        {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
        for answer in (unknown, retired)
    ]
    assert alike[0] == alike[1]


@pytest.mark.rule("C-01", "AZ-05", "PAR-18")
@pytest.mark.parametrize(
    "sent",
    [
        "https://wallet.example/cb/",
        "https://wallet.example/cb/more",
        "https://wallet.example/c",
        "https://wallet.example/cb?x=2",
        "https://wallet.example/cb?x=1&y=2",
        "https://wallet.example/cb?x=1&x=1",
        "https://wallet.example/cb#fragment",
        "https://wallet.example/cb?",
        "https://wallet.example/CB",
        "https://wallet.example/%63b",
        "https://wallet.example/a/../cb",
        "https://wallet.example/%2e%2e/cb",
        "https://wallet.example/./cb",
        "https://WALLET.example/cb",
        "https://wallet.example./cb",
        "https://wallet.example:443/cb",
        "https://wallet.example:8443/cb",
        "https://wallet.example.evil.example/cb",
        "https://evil.example/https://wallet.example/cb",
        "https://wallet.example@evil.example/cb",
        "https://evil.example\\@wallet.example/cb",
        "https://wallet.example\\.evil.example/cb",
        "https://wallét.example/cb",
        "https://xn--wallt-esa.example/cb",
        "//wallet.example/cb",
        "https:wallet.example/cb",
        "HTTPS://wallet.example/cb",
        " https://wallet.example/cb",
        "https://wallet.example/cb\r\n",
        "http://127.0.0.1:9555/callback",
        "http://localhost:9555/callback/",
        "http://localhost.evil.example:9555/callback",
        "http://localhost:9555@evil.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
def test_a_redirect_uri_is_the_registered_one_or_refused(server: RunningServer, wallet: RawWallet, sent: str) -> None:
    refused(server, lambda: wallet.push({"redirect_uri": sent}, dpop=False), 400, "invalid_request")


@pytest.mark.rule("AZ-05")
def test_a_loopback_port_may_differ(wallet: RawWallet) -> None:
    for sent in ("http://localhost:1/callback", "http://localhost/callback", "https://wallet.example/cb?x=1"):
        assert wallet.push({"redirect_uri": sent}, dpop=False).status_code == 201


@pytest.mark.rule("C-27", "G-07")
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "scope", "state", "response_type", "code_challenge", "x_unknown"]
)
def test_a_repeated_parameter_is_refused(server: RunningServer, wallet: RawWallet, name: str, same: bool) -> None:
    form = wallet.push_form({"x_unknown": "1"})
    repeated = {**form, name: [form[name], form[name] if same else "other"]}
    refused(server, lambda: wallet.push(repeated, dpop=False), 400, "invalid_request")


@pytest.mark.rule("G-07")
def test_an_empty_parameter_is_as_good_as_absent(wallet: RawWallet) -> None:
    empty = dict.fromkeys(["request_uri", "request", "resource", "authorization_details", "dpop_jkt", "state"], "")
    assert wallet.push(empty, dpop=False).status_code == 201


@pytest.mark.rule("G-06", "PAR-23", "PAR-11")
def test_unknown_parameters_and_those_of_other_endpoints_change_nothing(wallet: RawWallet) -> None:
    noise = {"x_unknown": "1", "grant_type": "x", "code": "x", "code_verifier": "x", "prompt": "none", "max_age": "0"}
    code = wallet.code(noise)
    assert wallet.exchange(code).status_code == 200


@pytest.mark.rule("PAR-12", "G-10")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_offered(server: RunningServer, wallet: RawWallet, method: str) -> None:
    with nothing_stored(server):
        answer = wallet.http.request(method, f"{wallet.issuer}/par", params=wallet.push_form())
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert method == "HEAD" or answer.json()["error"] == "invalid_request"


@pytest.mark.rule("G-10")
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded; charset=iso-8859-1", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 201),
        ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", 201),
    ],
)
def test_only_forms_are_read(wallet: RawWallet, content_type: str, status: int) -> None:
    answer = wallet.http.post(
        f"{wallet.issuer}/par", content=urlencode(wallet.push_form()).encode(), headers={"Content-Type": content_type}
    )
    assert error_of(answer) == (status, None if status == 201 else "invalid_request")


@pytest.mark.rule("G-10")
def test_parameters_do_not_travel_in_the_url(server: RunningServer, wallet: RawWallet) -> None:
    form = wallet.push_form()

    def send() -> httpx2.Response:
        return wallet.http.post(f"{wallet.issuer}/par", params={"scope": "pid"}, data={**form, "scope": ""})

    refused(server, send, 400, "invalid_request")


@pytest.mark.rule("PAR-13")
def test_a_large_body_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    refused(server, lambda: wallet.push({"x": "x" * 1_000_000}, dpop=False), 413, "invalid_request")
    assert wallet.push().status_code == 201


@pytest.mark.rule("PAR-19", "D-08")
@pytest.mark.parametrize("way", ["parameter", "header", "both"])
def test_the_key_named_in_the_push_is_the_only_one_that_gets_the_token(wallet: RawWallet, way: str) -> None:
    changes = {} if way == "header" else {"dpop_jkt": wallet.key.thumbprint}
    code = wallet.code(changes, dpop=way != "parameter")
    assert error_of(wallet.exchange(code, dpop={"key": Key()})) == (400, "invalid_grant")
    answer = wallet.exchange(code)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")


@pytest.mark.rule("PAR-20")
def test_a_thumbprint_that_is_not_the_proofs_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    wallet.push()
    proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])
    refused(server, lambda: wallet.push({"dpop_jkt": Key().thumbprint}, dpop=proof), 400, "invalid_dpop_proof")
    # The refused push did not use the proof up.
    assert wallet.push({"dpop_jkt": wallet.key.thumbprint}, dpop=proof).status_code == 201


@pytest.mark.rule("PAR-19")
@pytest.mark.parametrize(
    "bent",
    [
        {"claims": {"htu": "http://localhost/pid-provider/par"}},
        {"claims": {"htm": "GET"}},
        {"claims": {"iat": 1}},
        {"claims": {"jti": ABSENT}},
        {"header": {"typ": "JWT"}},
        {"header": {"alg": "none"}},
        {"header": {"jwk": Key().public_jwk}},
    ],
)
def test_a_proof_in_the_push_is_verified_in_full(
    server: RunningServer, wallet: RawWallet, bent: dict[str, Any]
) -> None:
    wallet.push()
    refused(server, lambda: wallet.push(dpop=bent), 400, "invalid_dpop_proof")


@pytest.mark.rule("PAR-19")
def test_a_proof_works_once(server: RunningServer, wallet: RawWallet) -> None:
    wallet.push()
    proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])
    assert wallet.push(dpop=proof).status_code == 201
    refused(server, lambda: wallet.push(dpop=proof), 400, "invalid_dpop_proof")


@pytest.mark.rule("PAR-25")
def test_a_proof_without_nonce_is_asked_for_one_and_the_second_try_succeeds(
    server: RunningServer, wallet: RawWallet
) -> None:
    url = f"{wallet.issuer}/par"
    answer = refused(server, lambda: wallet.push(dpop=wallet.dpop("POST", url)), 400, "use_dpop_nonce")
    proof = wallet.dpop("POST", url, nonce=answer.headers["DPoP-Nonce"])
    assert wallet.push(dpop=proof).status_code == 201


@pytest.mark.rule("AZ-22")
def test_unknown_scope_values_are_ignored(wallet: RawWallet) -> None:
    answer = wallet.exchange(wallet.code({"scope": "openid pid unknown"}))
    assert (answer.status_code, answer.json().get("scope")) == (200, "pid")


@pytest.mark.rule("AZ-23")
def test_a_credential_asked_for_by_details_and_by_scope_comes_by_the_details(wallet: RawWallet) -> None:
    answer = wallet.exchange(wallet.code({"scope": "pid", "authorization_details": PID_DETAILS}))
    [granted] = answer.json()["authorization_details"]
    assert granted["credential_configuration_id"] == "pid"
    assert len(granted["credential_identifiers"]) == 1


@pytest.mark.rule("AZ-19")
def test_unknown_members_of_details_are_no_error(wallet: RawWallet, browser: Browser) -> None:
    details = json.dumps([{**json.loads(PID_DETAILS)[0], "x_unknown": {"a": [None]}, "claims": [{"path": ["x"]}]}])
    pushed = wallet.push({"scope": ABSENT, "authorization_details": details}, dpop=False)
    assert pushed.status_code == 201
    assert browser.get(wallet.authorize_url(pushed)).status_code == 200


def test_the_tenants_own_wallets_only(server: RunningServer) -> None:
    """A push to a tenant that is not there is answered like a path that is not there."""
    with server.wallet("no-such-tenant") as stranger:
        answer = stranger.push(dpop=False)
        path = stranger.http.post(f"{server.url}/pid-provider/no-such-path")
    assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")
    assert (path.status_code, path.content) == (answer.status_code, answer.content)
