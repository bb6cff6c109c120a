import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from app.protocol import base64url, jose
from app.wallet.authorization import (
    AuthorizationRequest,
    Token,
    authorize_by_push,
    new_request,
    redeem_code,
)
from app.wallet.discovery import AuthorizationServer, Configuration, CredentialIssuer
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.issuance import fetch_nonce, request_credential
from app.wallet.keys import WalletKey
from tests.wallet.fakes import ISSUER, NOW, FakeServer, octets, reply

PAR, TOKEN, NONCE, CREDENTIAL = (f"/pid-provider/{name}" for name in ("par", "token", "nonce", "credential"))
SERVER = AuthorizationServer(ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token", f"{ISSUER}/par")
ISSUER_FACTS = CredentialIssuer(ISSUER, f"{ISSUER}/credential", f"{ISSUER}/nonce", (), {})
PID = Configuration("pid", "urn:eudi:pid:1", "pid")
REDIRECT_URI = "http://localhost:4711/callback"
PUSHED = AuthorizationRequest(
    parameters={},
    client_id="demo-wallet",
    redirect_uri=REDIRECT_URI,
    state="the-state",
    code_verifier="the-verifier",
    by_details=False,
)
PAR_ANSWER = {"request_uri": "urn:ietf:params:oauth:request_uri:x", "expires_in": 60}
TOKEN_ANSWER = {"access_token": "at", "token_type": "DPoP", "expires_in": 300}


def request(**changes: Any) -> AuthorizationRequest:
    arguments: dict[str, Any] = {"by": "scope", "issuer_state": None, **changes}
    issuer = arguments.pop("issuer", ISSUER_FACTS)
    configurations = arguments.pop("configurations", [PID])
    return new_request(
        issuer, configurations, client_id="demo-wallet", redirect_uri=REDIRECT_URI, random=octets, **arguments
    )


def push(server: FakeServer, *, redirect: str = "code=the-code", **changes: Any) -> str:
    asked = request(**changes)

    def browse(url: str) -> str:
        # The browser sees a reference and nothing of the request.
        query = {"client_id": ["demo-wallet"], "request_uri": [PAR_ANSWER["request_uri"]]}
        assert parse_qs(urlsplit(url).query) == query
        return f"{REDIRECT_URI}?{redirect}&state={asked.state}&iss={quote(ISSUER, safe='')}"

    return authorize_by_push(server.sender(), SERVER, asked, browse=browse)


def proof(request: httpx2.Request) -> dict[str, Any]:
    return jose.parse_jwt(request.headers["dpop"]).payload


def test_asks_for_everything_with_pkce() -> None:
    asked = request(issuer_state="from-the-offer")
    assert asked.parameters == {
        "response_type": "code",
        "client_id": "demo-wallet",
        "redirect_uri": REDIRECT_URI,
        "state": asked.state,
        "scope": "pid",
        "issuer_state": "from-the-offer",
        "code_challenge": base64url.encode(hashlib.sha256(asked.code_verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }


def test_pushes_the_request_and_brings_back_the_code() -> None:
    server = FakeServer({PAR: reply(PAR_ANSWER, 201)})
    assert push(server) == "the-code"
    assert {"scope", "code_challenge", "redirect_uri", "state"} <= server.form(0).keys()
    # Nothing of an interactive session was begun.
    with pytest.raises(WalletRefused, match="nobody began"):
        push(FakeServer({PAR: reply(PAR_ANSWER, 201)}), redirect="auth_session=a")


def test_asks_by_details_when_told_or_when_there_is_no_scope() -> None:
    for changes in ({"by": "details"}, {"configurations": [Configuration("pid", "urn:eudi:pid:1", None)]}):
        asked = request(**changes)
        assert asked.by_details
        details = json.loads(asked.parameters["authorization_details"])
        assert details == [{"type": "openid_credential", "credential_configuration_id": "pid"}]
        assert "scope" not in asked.parameters


def test_names_the_issuer_to_a_server_of_several() -> None:
    issuer = CredentialIssuer(ISSUER, f"{ISSUER}/credential", None, (ISSUER,), {})
    assert request(issuer=issuer).parameters["resource"] == ISSUER
    details = request(issuer=issuer, by="details").parameters["authorization_details"]
    assert json.loads(details)[0]["locations"] == [ISSUER]


def test_use_dpop_nonce_is_answered_once_with_a_fresh_proof() -> None:
    asks = reply({"error": "use_dpop_nonce"}, 400, dpop_nonce="n1")
    server = FakeServer({PAR: [asks, reply(PAR_ANSWER, 201)]})
    push(server)
    first, second = (proof(request) for request in server.requests)
    assert "nonce" not in first
    assert second["nonce"] == "n1"
    assert first["jti"] != second["jti"]
    assert (second["htm"], second["htu"], second["iat"]) == ("POST", f"{ISSUER}/par", NOW)

    endless = FakeServer({PAR: asks})
    with pytest.raises(ServerRefused, match="use_dpop_nonce"):
        push(endless)
    assert len(endless.requests) == 2


def test_nonces_are_kept_apart_by_role_and_refreshed_by_every_answer() -> None:
    server = FakeServer(
        {
            TOKEN: reply(TOKEN_ANSWER, dpop_nonce="as-1"),
            NONCE: reply({"c_nonce": "c1"}, dpop_nonce="rs-1"),
            CREDENTIAL: reply({"credentials": [{"credential": "x"}]}, dpop_nonce="rs-2"),
        }
    )
    sender = server.sender()
    token = redeem_code(sender, SERVER, PUSHED, "code")
    redeem_code(sender, SERVER, PUSHED, "code")
    for _ in range(2):
        c_nonce = fetch_nonce(server.http, sender, ISSUER_FACTS)
        server.answers[NONCE] = [reply({"c_nonce": "c2"})]
        ask(sender, token, c_nonce=c_nonce)
    proofs = [proof(request) for request in server.requests if "dpop" in request.headers]
    assert [each.get("nonce") for each in proofs] == [None, "as-1", "rs-1", "rs-2"]


def ask(sender: Any, token: Token, *, c_nonce: str | None = None, identifier: str | None = None) -> str:
    return request_credential(
        sender,
        ISSUER_FACTS,
        PID,
        token,
        WalletKey.generate(),
        identifier=identifier,
        c_nonce=c_nonce,
        client_id="demo-wallet",
        now=lambda: NOW,
    )


def test_redeems_the_code() -> None:
    server = FakeServer({TOKEN: reply(TOKEN_ANSWER)})
    assert redeem_code(server.sender(), SERVER, PUSHED, "the-code") == Token("at", {})
    assert server.form(0) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT_URI,
        "client_id": "demo-wallet",
        "code_verifier": "the-verifier",
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({**TOKEN_ANSWER, "token_type": "Bearer"}), "unbound_token"),
        (reply({"token_type": "DPoP"}), "unusable_answer"),
        (reply({**TOKEN_ANSWER, "authorization_details": [{"type": "openid_credential"}]}), "unusable_answer"),
        (reply({"error": "invalid_grant", "error_description": "Unknown code."}, 400), "invalid_grant"),
        (httpx2.Response(502, text="<h1>bad gateway</h1>"), "http_502"),
    ],
)
def test_refuses_token_answers(answer: httpx2.Response, code: str) -> None:
    server = FakeServer({TOKEN: answer})
    with pytest.raises((ServerRefused, WalletRefused)) as refused:
        redeem_code(server.sender(), SERVER, PUSHED, "code")
    assert refused.value.code == code


def test_who_asked_by_details_insists_on_identifiers() -> None:
    by_details = request(by="details")
    with pytest.raises(WalletRefused, match="unusable_answer"):
        redeem_code(FakeServer({TOKEN: reply(TOKEN_ANSWER)}).sender(), SERVER, by_details, "code")
    entry = {"type": "openid_credential", "credential_configuration_id": "pid", "credential_identifiers": ["p1"]}
    server = FakeServer({TOKEN: reply({**TOKEN_ANSWER, "authorization_details": [entry]})})
    assert redeem_code(server.sender(), SERVER, by_details, "code").identifiers == {"pid": ["p1"]}


def test_credential_request_proves_possession_with_a_bound_token() -> None:
    asks = httpx2.Response(
        401, headers={"www-authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"', "dpop-nonce": "rs"}
    )
    server = FakeServer({CREDENTIAL: [asks, reply({"credentials": [{"credential": "abc~"}]})]})
    assert ask(server.sender(), Token("at", {}), c_nonce="c1") == "abc~"
    request = server.requests[1]
    assert request.headers["authorization"] == "DPoP at"
    assert proof(request)["ath"] == base64url.encode(hashlib.sha256(b"at").digest())
    assert proof(request)["nonce"] == "rs"
    body = server.json(1)
    assert body["credential_configuration_id"] == "pid"
    key_proof = jose.parse_jwt(body["proofs"]["jwt"][0])
    assert key_proof.header["typ"] == "openid4vci-proof+jwt"
    assert key_proof.payload == {"iss": "demo-wallet", "aud": ISSUER, "iat": NOW, "nonce": "c1"}
    assert key_proof.header["jwk"] != jose.parse_jwt(request.headers["dpop"]).header["jwk"]


def test_credential_request_by_identifier() -> None:
    server = FakeServer({CREDENTIAL: reply({"credentials": [{"credential": "abc~"}]})})
    ask(server.sender(), Token("at", {"pid": ["p1"]}), identifier="p1")
    assert server.json(0)["credential_identifier"] == "p1"
    assert "credential_configuration_id" not in server.json(0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"transaction_id": "t", "interval": 5}, 202), "unsupported_answer"),
        (reply({"credentials": []}), "unusable_answer"),
        (reply({"credentials": [{"credential": "a"}, {"credential": "b"}]}), "unusable_answer"),
        (reply({"credentials": [{"credential": {}}]}), "unusable_answer"),
        (reply({"error": "invalid_nonce"}, 400), "invalid_nonce"),
        (httpx2.Response(401, headers={"www-authenticate": 'DPoP error="invalid_token"'}), "invalid_token"),
    ],
)
def test_refuses_credential_answers(answer: httpx2.Response, code: str) -> None:
    server = FakeServer({CREDENTIAL: answer})
    with pytest.raises((ServerRefused, WalletRefused)) as refused:
        ask(server.sender(), Token("at", {}))
    assert refused.value.code == code
