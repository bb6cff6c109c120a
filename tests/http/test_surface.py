"""What the service shows of itself: nothing to debug with, nothing to store, nothing of what went wrong inside."""

import re
from typing import Any

import httpx2
import pytest

from app.protocol import jose
from tests.support.raw_wallet import Browser, RawWallet, error_of
from tests.support.server import RunningServer

DEBUG_PATHS = [
    "/",
    "/admin",
    "/actuator/health",
    "/console",
    "/debug",
    "/debug/pprof/",
    "/docs",
    "/elements",
    "/env",
    "/favicon.ico",
    "/graphql",
    "/health",
    "/metrics",
    "/openapi.json",
    "/redoc",
    "/robots.txt",
    "/schema",
    "/schema/openapi.json",
    "/schema/swagger",
    "/server-status",
    "/static",
    "/static/",
    "/static/../pages/render.py",
    "/static/templates/login.html",
    "/swagger-ui",
    "/.env",
    "/.git/config",
    "/.well-known/",
    "/.well-known/openid-configuration",
    "/var/vestibule.db",
    "/vestibule.db",
]


@pytest.mark.rule("O-18")
@pytest.mark.parametrize("path", DEBUG_PATHS)
@pytest.mark.parametrize("tenant", ["", "/pid-provider"])
def test_there_is_nothing_to_debug_with(wallet: RawWallet, server: RunningServer, tenant: str, path: str) -> None:
    answer = wallet.http.get(f"{server.url}{tenant}{path}")
    assert error_of(answer) == (404, "invalid_request")
    assert "location" not in answer.headers


@pytest.mark.rule("O-18")
def test_health_tells_nothing_but_health(wallet: RawWallet, server: RunningServer) -> None:
    for path in ("/healthz", "/readyz"):
        answer = wallet.http.get(server.url + path)
        assert answer.json() == {"status": "ok"}
        assert "server" not in answer.headers


@pytest.mark.rule("O-05", "G-10")
@pytest.mark.parametrize("path", ["/par", "/token", "/interactive", "/authorize/answer"])
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencoded-not",
    ],
)
def test_a_form_endpoint_reads_forms_only(wallet: RawWallet, path: str, content_type: str | None) -> None:
    body = httpx2.Request("POST", "http://x", data=wallet.push_form()).content
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = wallet.http.post(wallet.issuer + path, content=body, headers=headers)
    assert answer.status_code in (400, 415)
    if path != "/authorize/answer":
        assert error_of(answer)[1] == "invalid_request"


@pytest.mark.rule("O-05")
@pytest.mark.parametrize(
    "content_type",
    ["", "application/x-www-form-urlencoded", "text/json", "application/json; charset=utf-16", "application/jwt"],
)
def test_the_credential_endpoint_reads_json_only(wallet: RawWallet, content_type: str) -> None:
    token = wallet.access_token()
    answer = wallet.credential(token, headers={"Content-Type": content_type})
    assert answer.status_code in (400, 415)
    assert error_of(answer)[1] == "invalid_credential_request"
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("O-04")
@pytest.mark.parametrize("path", ["/par", "/token", "/interactive", "/authorize/answer"])
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?client_id=demo-wallet", "grant_type=authorization_code"),
        ("?a", "client_id=demo-wallet"),
        ("", "client_id=demo-wallet&client_id=demo-wallet"),
        ("", "client_id=demo-wallet&%63lient_id=other-wallet"),
        ("", "client_id=demo-wallet&client_id="),
        ("", "unknown=1&client_id=demo-wallet&unknown=2"),
    ],
)
def test_a_parameter_has_one_place_and_one_value(wallet: RawWallet, path: str, query: str, body: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = wallet.http.post(wallet.issuer + path + query, content=body, headers=headers)
    assert answer.status_code == 400
    if path != "/authorize/answer":
        assert error_of(answer)[1] == "invalid_request"


@pytest.mark.rule("O-04")
def test_brackets_make_no_list(wallet: RawWallet) -> None:
    changes = {"client_id[]": "other-wallet", "client_id[0]": "other-wallet"}
    assert wallet.push(changes).status_code == 201  # unknown names, ignored (RFC 6749 §3.2)
    assert error_of(wallet.push({"client_id": "", **changes})) == (400, "invalid_request")


@pytest.mark.rule("O-04")
def test_a_json_member_has_one_value(wallet: RawWallet) -> None:
    token = wallet.access_token()
    url = f"{wallet.issuer}/credential"
    wallet.c_nonce()
    proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
    answer = wallet.http.post(
        url,
        content='{"credential_configuration_id":"pid","credential_configuration_id":"pid"}',
        headers={"Content-Type": "application/json", "Authorization": f"DPoP {token}", "DPoP": proof},
    )
    assert error_of(answer) == (400, "invalid_credential_request")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("O-11", "G-05")
def test_nobody_may_store_an_answer_or_a_refusal(wallet: RawWallet, browser: Browser) -> None:
    code = wallet.code()
    token = wallet.exchange(code)
    pushed = wallet.push()
    answers = [
        token,
        pushed,
        wallet.exchange(code),
        wallet.push({"client_id": "unknown"}),
        wallet.http.post(f"{wallet.issuer}/nonce"),
        wallet.credential(token.json()["access_token"]),
        wallet.http.post(f"{wallet.issuer}/credential"),
        wallet.http.get(f"{wallet.issuer}/token"),
        wallet.http.get(f"{wallet.issuer}/nowhere"),
        browser.get(wallet.authorize_url(pushed)),
        browser.get(f"{wallet.issuer}/authorize"),
        browser.walk(wallet.authorize_url(wallet.push())),
    ]
    for answer in answers:
        assert "no-store" in answer.headers["cache-control"], answer.request.url


MARK = 'zqxj"<script>\\é'
"""Reflected, it would be seen, and break what it stands in."""

INSIDES = re.compile(r"Traceback|Exception|Error\b|sqlalchemy|sqlite|litestar|msgspec|uvicorn|\.py\b")


def _asked_with_marks(wallet: RawWallet) -> list[httpx2.Response]:
    token = wallet.access_token()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    encoded = MARK.encode()
    bent: list[Any] = [
        *(wallet.push({name: MARK}) for name in wallet.push_form()),
        wallet.push({"authorization_details": f'[{{"type":"{MARK}"}}]'}),
        wallet.push({"issuer_state": MARK}),
        *(
            wallet.exchange("x", {name: MARK})
            for name in ("grant_type", "code", "client_id", "redirect_uri", "code_verifier", "authorization_details")
        ),
        wallet.push(dpop="zqxj.zqxj.zqxj"),
        wallet.push(dpop={"header": {"typ": MARK}}),
        wallet.push(dpop={"claims": {"htu": MARK}}),
        wallet.credential(token, {"credential_configuration_id": MARK}),
        wallet.credential(token, {MARK: MARK, "proofs": {MARK: [MARK]}}),
        wallet.credential(token, {"proofs": {"jwt": [MARK]}}),
        wallet.credential("zqxj.zqxj.zqxj"),
        wallet.http.post(f"{wallet.issuer}/token", content=encoded, headers=form),
        wallet.http.post(f"{wallet.issuer}/authorize/answer", data={"request_uri": MARK, "form_token": MARK}),
        wallet.http.get(f"{wallet.issuer}/authorize", params={"client_id": MARK, "request_uri": MARK}),
        wallet.http.get(f"{wallet.issuer}/authorize", params={MARK: MARK}),
        wallet.http.get(f"{wallet.issuer}/zqxj"),
        wallet.http.request("ZQXJ", f"{wallet.issuer}/token"),
    ]
    return bent


@pytest.mark.rule("O-13")
def test_refusals_say_fixed_texts_and_nothing_of_what_was_sent(wallet: RawWallet) -> None:
    refused = [answer for answer in _asked_with_marks(wallet) if answer.status_code >= 400]
    assert len(refused) > 20
    for answer in refused:
        assert answer.status_code < 500
        assert "zqxj" not in answer.text.lower()
        assert not re.search(
            r"Traceback|Exception|Error\b|sqlalchemy|sqlite|litestar|msgspec|uvicorn|\.py\b", answer.text
        )
        if answer.headers["content-type"].startswith("application/json"):
            # RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E
            assert re.fullmatch(r"[\x20\x21\x23-\x5B\x5D-\x7E]*", answer.json().get("error_description", ""))


# What costs something comes after what costs nothing.


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every signature the service verifies."""
    seen: list[str] = []
    verify = jose.verify_jwt

    def counting(unverified: jose.UnverifiedJwt, *arguments: Any, **options: Any) -> jose.VerifiedJwt:
        seen.append(str(unverified.header.get("typ")))
        return verify(unverified, *arguments, **options)

    monkeypatch.setattr(jose, "verify_jwt", counting)
    return seen


@pytest.mark.rule("O-16")
def test_no_signature_is_verified_for_a_request_that_is_refused_before(
    wallet: RawWallet, verifications: list[str]
) -> None:
    proof = wallet.dpop("POST", f"{wallet.issuer}/token", nonce="a")
    form = {"Content-Type": "application/x-www-form-urlencoded", "DPoP": proof}
    for headers, body in (
        (form, "a=" + "b" * 70_000),
        ({**form, "Content-Type": "text/plain"}, "client_id=demo-wallet"),
        (form, "client_id=demo-wallet&client_id=demo-wallet"),
        (form, "client_id=unknown&grant_type=authorization_code&code=x"),
        (form, "grant_type=authorization_code&code=x"),
        ({**form, "DPoP": "a" * 9000}, "client_id=demo-wallet"),
        ({**form, "DPoP": proof.rpartition(".")[0] + ".AAAA"}, "client_id=demo-wallet"),
    ):
        answer = wallet.http.post(f"{wallet.issuer}/token", content=body, headers=headers)
        assert answer.status_code in (400, 401, 413, 415)
    assert wallet.http.post(f"{wallet.issuer.replace('pid-provider', 'nobody')}/token", headers=form).status_code == 404
    assert verifications in ([], ["dpop+jwt"])


@pytest.mark.rule("O-16")
def test_a_credential_request_is_judged_from_cheap_to_dear(wallet: RawWallet, verifications: list[str]) -> None:
    token = wallet.access_token()
    verifications.clear()
    proofs = {"jwt": [wallet.key_proof(wallet.c_nonce())]}
    # A token that is none of ours: nothing else of the request is looked at.
    assert error_of(wallet.credential("a.b.c", {"proofs": proofs}))[0] == 401
    assert verifications == []
    # A key proof is verified last, and one only.
    assert error_of(wallet.credential(token, {"proofs": proofs, "credential_configuration_id": "x"}))[0] == 400
    assert error_of(wallet.credential(token, {"proofs": {"jwt": proofs["jwt"] * 50}}))[0] == 400
    assert "openid4vci-proof+jwt" not in verifications
    assert wallet.credential(token, {"proofs": proofs}).status_code == 200
    assert verifications.count("openid4vci-proof+jwt") == 1
