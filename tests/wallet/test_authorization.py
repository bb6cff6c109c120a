import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from app.protocol import base64url, jose
from app.wallet.authorization import PushedRequest, Token, push_request, read_redirect, redeem_code
from app.wallet.discovery import AuthorizationServer, Configuration, CredentialIssuer
from app.wallet.errors import ServerRefused, WalletRefused
from app.wallet.issuance import fetch_nonce, request_credential
from app.wallet.keys import WalletKey
from tests.wallet.fakes import ISSUER, NOW, FakeServer, octets, reply

PAR, TOKEN, NONCE, CREDENTIAL = (f"/pid-provider/{name}" for name in ("par", "token", "nonce", "credential"))
SERVER = AuthorizationServer(ISSUER, f"{ISSUER}/par", f"{ISSUER}/authorize", f"{ISSUER}/token")
ISSUER_FACTS = CredentialIssuer(ISSUER, f"{ISSUER}/credential", f"{ISSUER}/nonce", (), {})
PID = Configuration("pid", "urn:eudi:pid:1", "pid")
REDIRECT_URI = "http://localhost:4711/callback"
PUSHED = PushedRequest(
    f"{ISSUER}/authorize", REDIRECT_URI, "demo-wallet", "the-state", "the-verifier", by_details=False
)
PAR_ANSWER = {"request_uri": "urn:ietf:params:oauth:request_uri:x", "expires_in": 60}
TOKEN_ANSWER = {"access_token": "at", "token_type": "DPoP", "expires_in": 300}


def push(server: FakeServer, **changes: Any) -> PushedRequest:
    arguments: dict[str, Any] = {"by": "scope", "issuer_state": None, **changes}
    issuer = arguments.pop("issuer", ISSUER_FACTS)
    configurations = arguments.pop("configurations", [PID])
    return push_request(
        server.sender(),
        SERVER,
        issuer,
        configurations,
        client_id="demo-wallet",
        redirect_uri=REDIRECT_URI,
        random=octets,
        **arguments,
    )


def proof(request: httpx2.Request) -> dict[str, Any]:
    return jose.parse_jwt(request.headers["dpop"]).payload


def test_pushes_everything_and_shows_the_browser_a_reference_only() -> None:
    server = FakeServer({PAR: reply(PAR_ANSWER, 201)})
    pushed = push(server, issuer_state="from-the-offer")
    form = server.form(0)
    assert form["scope"] == "pid"
    assert form["issuer_state"] == "from-the-offer"
    assert form["redirect_uri"] == REDIRECT_URI
    assert form["code_challenge_method"] == "S256"
    assert form["code_challenge"] == base64url.encode(hashlib.sha256(pushed.code_verifier.encode()).digest())
    assert form["state"] == pushed.state
    assert parse_qs(urlsplit(pushed.authorize_url).query) == {
        "client_id": ["demo-wallet"],
        "request_uri": [PAR_ANSWER["request_uri"]],
    }


def test_asks_by_details_when_told_or_when_there_is_no_scope() -> None:
    for changes in ({"by": "details"}, {"configurations": [Configuration("pid", "urn:eudi:pid:1", None)]}):
        server = FakeServer({PAR: reply(PAR_ANSWER, 201)})
        assert push(server, **changes).by_details
        details = json.loads(server.form(0)["authorization_details"])
        assert details == [{"type": "openid_credential", "credential_configuration_id": "pid"}]
        assert "scope" not in server.form(0)


def test_names_the_issuer_to_a_server_of_several() -> None:
    issuer = CredentialIssuer(ISSUER, f"{ISSUER}/credential", None, (ISSUER,), {})
    server = FakeServer({PAR: reply(PAR_ANSWER, 201)})
    push(server, issuer=issuer)
    assert server.form(0)["resource"] == ISSUER
    push(server, issuer=issuer, by="details")
    assert json.loads(server.form(1)["authorization_details"])[0]["locations"] == [ISSUER]


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


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"code=c&state=the-state&iss={quote('https://evil.example', safe='')}", "issuer_mismatch"),
        ("code=c&state=the-state", "issuer_mismatch"),
        (f"code=c&state=the-state&iss={quote(ISSUER, safe='')}%2F", "issuer_mismatch"),
        (f"error=access_denied&state=the-state&iss={quote('https://evil.example', safe='')}", "issuer_mismatch"),
        (f"code=c&state=another&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"code=c&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"error=access_denied&state=another&iss={quote(ISSUER, safe='')}", "state_mismatch"),
        (f"state=the-state&iss={quote(ISSUER, safe='')}", "unusable_answer"),
        (f"code=c&code=d&state=the-state&iss={quote(ISSUER, safe='')}", "unusable_answer"),
    ],
)
def test_refuses_redirects_that_are_not_the_answer(query: str, code: str) -> None:
    with pytest.raises(WalletRefused) as refused:
        read_redirect(f"{REDIRECT_URI}?{query}", PUSHED, SERVER)
    assert refused.value.code == code


def test_reads_the_code_or_the_servers_error() -> None:
    iss = quote(ISSUER, safe="")
    assert read_redirect(f"{REDIRECT_URI}?code=c&state=the-state&iss={iss}", PUSHED, SERVER) == "c"
    with pytest.raises(ServerRefused, match="access_denied: No"):
        read_redirect(
            f"{REDIRECT_URI}?error=access_denied&error_description=No&state=the-state&iss={iss}", PUSHED, SERVER
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
    by_details = PushedRequest("", REDIRECT_URI, "demo-wallet", "s", "v", by_details=True)
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
