"""The credential endpoint (OpenID4VCI §8.2, §8.3.1.2): the body of a request and the proof of its key."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.http.issued import assert_refused
from tests.protocol.jwts import KEY_384, make_jwt, public_jwk
from tests.support.raw_wallet import ABSENT, Key, RawWallet
from tests.support.server import RunningServer

ATTACKER = Key()


def jwt(proof: str) -> dict[str, Any]:
    return {"proofs": {"jwt": [proof]}}


# The body


@pytest.mark.rule("CR-06", "L-09", "CR-25")
@pytest.mark.parametrize(
    "named",
    [
        {"credential_configuration_id": ABSENT},
        {"credential_identifier": "pid"},
        {"credential_configuration_id": None},
        {"credential_configuration_id": 1},
        {"credential_configuration_id": ["pid"]},
        {"credential_configuration_id": ABSENT, "credential_identifier": {}},
    ],
)
def test_one_credential_is_named_by_one_string(wallet: RawWallet, named: dict[str, Any]) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    assert_refused(
        wallet.credential(token, {**jwt(wallet.key_proof(nonce)), **named}), 400, "invalid_credential_request"
    )
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("L-14", "CR-09")
def test_an_encrypted_answer_is_refused_in_the_open(wallet: RawWallet) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    wanted = {"credential_response_encryption": {"jwk": Key().public_jwk, "enc": "A256GCM"}}
    refused = wallet.credential(token, {**jwt(wallet.key_proof(nonce)), **wanted})
    assert_refused(refused, 400, "invalid_encryption_parameters")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("CR-01", "CR-09")
@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"credential_configuration_id=pid", "application/x-www-form-urlencoded", 415),
        (b'{"credential_configuration_id":"pid"}', "text/plain", 415),
        (b"a.b.c.d.e", "application/jwt", 415),
        (b'{"credential_configuration_id":"pid"}', "application/json; charset=utf-16", 415),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"credential_configuration_id":"pid","credential_configuration_id":"pid"}', "application/json", 400),
    ],
)
def test_a_request_is_a_json_object(wallet: RawWallet, content: bytes, content_type: str, status: int) -> None:
    token, url = wallet.access_token(), f"{wallet.issuer}/credential"
    nonce = wallet.c_nonce()
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"]),
        "Content-Type": content_type,
    }
    assert_refused(wallet.http.post(url, content=content, headers=headers), status, "invalid_credential_request")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("CR-01")
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_request_is_posted(wallet: RawWallet, method: str) -> None:
    answer = wallet.http.request(method, f"{wallet.issuer}/credential")
    assert_refused(answer, 405, "invalid_credential_request")
    assert "POST" in answer.headers["allow"]


# Proofs: how many, of what kind


@pytest.mark.parametrize(
    ("proofs", "code"),
    [
        pytest.param(lambda p: {"proofs": ABSENT}, "invalid_proof", marks=pytest.mark.rule("CR-10", "CIM-16")),
        pytest.param(
            lambda p: {"proofs": ABSENT, "proof": {"proof_type": "jwt", "jwt": p}},
            "invalid_proof",
            marks=pytest.mark.rule("CR-11", "L-07"),
        ),
        pytest.param(
            lambda p: {"proofs": {"jwt": [p]}, "proof": {"proof_type": "jwt", "jwt": p}},
            "invalid_credential_request",
            marks=pytest.mark.rule("L-07"),
        ),
        pytest.param(
            lambda p: {"proofs": {"jwt": [p], "di_vp": [{}]}},
            "invalid_credential_request",
            marks=pytest.mark.rule("CR-11", "L-07"),
        ),
        pytest.param(lambda p: {"proofs": {}}, "invalid_credential_request", marks=pytest.mark.rule("CR-11")),
        pytest.param(lambda p: {"proofs": {"jwt": []}}, "invalid_proof", marks=pytest.mark.rule("CR-11", "L-07")),
        pytest.param(
            lambda p: {"proofs": {"jwt": p}}, "invalid_credential_request", marks=pytest.mark.rule("CR-11", "L-07")
        ),
        pytest.param(
            lambda p: {"proofs": {"jwt": [{"jwt": p}]}}, "invalid_credential_request", marks=pytest.mark.rule("L-07")
        ),
        pytest.param(
            lambda p: {"proofs": {"di_vp": [{"type": "x"}]}}, "invalid_proof", marks=pytest.mark.rule("CR-11", "PRF-12")
        ),
        pytest.param(
            lambda p: {"proofs": {"jwt": [p, p]}}, "invalid_proof", marks=pytest.mark.rule("CR-12", "L-08", "CIM-14")
        ),
        pytest.param(
            lambda p: {"proofs": {"jwt": ["x.y.z"] * 10_000}}, "invalid_proof", marks=pytest.mark.rule("L-08")
        ),
    ],
)
def test_exactly_one_proof_of_type_jwt(wallet: RawWallet, proofs: Callable[[str], dict[str, Any]], code: str) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    assert_refused(wallet.credential(token, {"proofs": None, **proofs(wallet.key_proof(nonce))}), 400, code)
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


# The proof itself


@pytest.mark.parametrize(
    "bent",
    [
        pytest.param({"header": {"typ": "JWT"}}, marks=pytest.mark.rule("PRF-01", "L-05")),
        pytest.param({"header": {"typ": ABSENT}}, marks=pytest.mark.rule("PRF-01")),
        pytest.param({"header": {"typ": "dpop+jwt"}}, marks=pytest.mark.rule("PRF-01", "L-05")),
        pytest.param({"header": {"kid": "did:example:1#1"}}, marks=pytest.mark.rule("PRF-02", "L-05")),
        pytest.param({"header": {"x5c": ["AA=="]}}, marks=pytest.mark.rule("PRF-02", "L-05")),
        pytest.param({"header": {"jwk": ABSENT}}, marks=pytest.mark.rule("PRF-02")),
        pytest.param({"header": {"jwk": ABSENT, "kid": "did:jwk:e30#0"}}, marks=pytest.mark.rule("PRF-12")),
        pytest.param({"header": {"alg": "none"}}, marks=pytest.mark.rule("PRF-03", "L-05")),
        pytest.param({"header": {"alg": "HS256"}}, marks=pytest.mark.rule("PRF-03", "L-05")),
        pytest.param({"header": {"alg": "ES384"}}, marks=pytest.mark.rule("PRF-03", "L-05")),
        pytest.param({"key": ATTACKER, "header": {"jwk": Key().public_jwk}}, marks=pytest.mark.rule("PRF-04", "L-06")),
        pytest.param(
            {"key": ATTACKER, "header": {"jwk": {**ATTACKER.public_jwk, "d": "AA"}}},
            marks=pytest.mark.rule("PRF-04", "L-06"),
        ),
        pytest.param({"claims": {"aud": ABSENT}}, marks=pytest.mark.rule("PRF-05")),
        pytest.param({"claims": {"aud": "https://evil.example"}}, marks=pytest.mark.rule("PRF-05", "L-04")),
        pytest.param({"claims": {"iss": "other-wallet"}}, marks=pytest.mark.rule("PRF-08", "L-04", "L-01")),
        pytest.param({"claims": {"iat": ABSENT}}, marks=pytest.mark.rule("PRF-06")),
        pytest.param({"claims": {"iat": 1_900_000_000 - 3600}}, marks=pytest.mark.rule("PRF-06", "L-05")),
        pytest.param({"claims": {"iat": 1_900_000_000 + 3600}}, marks=pytest.mark.rule("PRF-06", "L-05")),
        pytest.param({"claims": {"exp": 1_900_000_000 - 1}}, marks=pytest.mark.rule("L-05")),
        pytest.param({"claims": {"nonce": ABSENT}}, marks=pytest.mark.rule("PRF-07", "L-03")),
    ],
)
def test_a_wrong_proof_is_refused_and_spends_nothing(wallet: RawWallet, bent: dict[str, Any]) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    assert_refused(wallet.credential(token, jwt(wallet.key_proof(nonce, **bent))), 400, "invalid_proof")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("PRF-05", "L-04")
@pytest.mark.parametrize("form", ["{}/", "{}/credential", "{}/token", "array", "array of two"])
def test_the_audience_is_exactly_the_issuer(wallet: RawWallet, form: str) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    lists: dict[str, Any] = {"array": [wallet.issuer], "array of two": [wallet.issuer, "https://evil.example"]}
    audience = lists.get(form, form.format(wallet.issuer))
    proof = wallet.key_proof(nonce, claims={"aud": audience})
    assert_refused(wallet.credential(token, jwt(proof)), 400, "invalid_proof")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("CIM-18", "PRF-03")
def test_a_proof_of_an_algorithm_that_is_not_listed_is_refused(server: RunningServer, wallet: RawWallet) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    header = {"typ": "openid4vci-proof+jwt", "alg": "ES384", "jwk": public_jwk(KEY_384)}
    claims = {"aud": wallet.issuer, "iat": server.clock.now(), "nonce": nonce}
    assert_refused(wallet.credential(token, jwt(make_jwt(header, claims, KEY_384))), 400, "invalid_proof")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200


@pytest.mark.rule("PRF-08")
def test_the_client_may_name_itself(wallet: RawWallet) -> None:
    proof = wallet.key_proof(wallet.c_nonce(), claims={"iss": "demo-wallet"})
    assert wallet.credential(wallet.access_token(), jwt(proof)).status_code == 200


@pytest.mark.rule("L-01", "PRF-10")
def test_a_captured_proof_is_worthless_elsewhere(server: RunningServer, wallet: RawWallet) -> None:
    proof = wallet.key_proof(wallet.c_nonce(), claims={"iss": "demo-wallet"})
    with server.wallet(client_id="other-wallet") as other:
        token = other.access_token()
        # Before its owner used it, and after.
        assert_refused(other.credential(token, jwt(proof)), 400, "invalid_proof")
        assert wallet.credential(wallet.access_token(), jwt(proof)).status_code == 200
        assert_refused(other.credential(token, jwt(proof)), 400, "invalid_proof")
        assert other.credential(token).status_code == 200
    nameless = wallet.key_proof(wallet.c_nonce())
    assert wallet.credential(wallet.access_token(), jwt(nameless)).status_code == 200
    assert_refused(wallet.credential(wallet.access_token(), jwt(nameless)), 400, "invalid_nonce")


@pytest.mark.rule("PRF-07", "L-03", "CR-09")
def test_a_wrong_nonce_is_not_a_missing_one(wallet: RawWallet) -> None:
    token, nonce = wallet.access_token(), wallet.c_nonce()
    assert_refused(wallet.credential(token, jwt(wallet.key_proof("x" * 52))), 400, "invalid_nonce")
    assert_refused(wallet.credential(token, jwt(wallet.key_proof(nonce, claims={"nonce": 1}))), 400, "invalid_proof")
    assert wallet.credential(token, jwt(wallet.key_proof(nonce))).status_code == 200
