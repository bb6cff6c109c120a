"""The credential endpoint (OpenID4VCI §8.3.1.1): access tokens, how they are sent, and the DPoP proof beside them."""

from typing import Any

import pytest

from tests.http.issued import assert_refused, decoded
from tests.protocol.jwts import make_jwt
from tests.support.documents import OTHER_SLUG, document
from tests.support.raw_wallet import ABSENT, Key, RawWallet
from tests.support.server import RunningServer


def body_of(wallet: RawWallet) -> dict[str, Any]:
    """A request that only lacks its access token."""
    return {"credential_configuration_id": "pid", "proofs": {"jwt": [wallet.key_proof(wallet.c_nonce())]}}


@pytest.mark.rule("CR-02", "DP-24")
def test_without_a_token_there_is_a_challenge_without_an_error(wallet: RawWallet) -> None:
    answer = wallet.http.post(f"{wallet.issuer}/credential", json=body_of(wallet))
    assert_refused(answer, 401, None)
    assert answer.headers["www-authenticate"] == 'DPoP algs="ES256 ES384 ES512"'


@pytest.mark.rule("CR-02", "L-11")
def test_a_bad_token_is_told_in_the_challenge(wallet: RawWallet) -> None:
    answer = wallet.credential("garbage")
    assert_refused(answer, 401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'DPoP error="invalid_token", algs="ES256 ES384 ES512"'


@pytest.mark.rule("CR-02", "CR-08")
def test_too_little_scope_is_told_in_the_challenge(wallet: RawWallet) -> None:
    token = wallet.access_token({"scope": "residence"})
    answer = wallet.credential(token)
    assert_refused(answer, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert wallet.credential(token, {"credential_configuration_id": "residence"}).status_code == 200


@pytest.mark.rule("L-11", "CR-02")
def test_a_token_lives_five_minutes(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        token = wallet.access_token()
        own_server.clock.advance(299)
        assert wallet.credential(token).status_code == 200
        own_server.clock.advance(1)
        assert_refused(wallet.credential(token), 401, "invalid_token")


@pytest.mark.rule("TOK-19", "CIM-21", "L-11")
def test_a_token_is_for_its_own_issuer(server: RunningServer, wallet: RawWallet) -> None:
    token = wallet.access_token()
    with server.wallet(OTHER_SLUG, key=wallet.key) as other:
        # Same client, same scope value, same key, proofs made for the other tenant.
        assert_refused(other.credential(token), 401, "invalid_token")
        assert other.credential(other.access_token()).status_code == 200
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("L-11")
@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {}),
        ({"alg": "none"}, {}),
        ({"typ": "JWT"}, {}),
        ({"kid": "unknown"}, {}),
        ({"jwk": Key().public_jwk}, {}),
        ({}, {"exp": 2_000_000_000}),
        ({}, {"cnf": ABSENT}),
    ],
)
def test_a_token_somebody_else_made_is_none(wallet: RawWallet, header: dict[str, Any], claims: dict[str, Any]) -> None:
    token = wallet.access_token()
    real_header, real_claims = (decoded(segment) for segment in token.split(".")[:2])
    bent = {name: value for name, value in {**real_claims, **claims}.items() if value is not ABSENT}
    assert_refused(wallet.credential(make_jwt(real_header | header, bent)), 401, "invalid_token")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("L-11")
def test_a_cut_off_signature_is_none(wallet: RawWallet) -> None:
    token = wallet.access_token()
    for bent in (token.rpartition(".")[0] + ".", token[:-4], token + "AAAA", token + ".", f'"{token}"'):
        assert_refused(wallet.credential(bent), 401, "invalid_token")
    assert wallet.credential(token).status_code == 200


# Where the token is


@pytest.mark.rule("CR-03", "C-25")
def test_a_token_in_the_query_is_never_served(wallet: RawWallet) -> None:
    token, body = wallet.access_token(), body_of(wallet)
    url = f"{wallet.issuer}/credential?access_token={token}"
    proof = wallet.dpop("POST", f"{wallet.issuer}/credential", access_token=token, nonce=wallet.nonces["resource"])
    assert_refused(wallet.http.post(url, json=body, headers={"DPoP": proof}), 401, None)
    # Nor beside one in the header (RFC 6750 §2: one method only).
    both = wallet.http.post(url, json=body, headers={"DPoP": proof, "Authorization": f"DPoP {token}"})
    assert_refused(both, 400, "invalid_credential_request")
    assert wallet.credential(token, body).status_code == 200


@pytest.mark.rule("CR-03", "C-25")
def test_a_token_in_the_body_is_never_served(wallet: RawWallet) -> None:
    token, url = wallet.access_token(), f"{wallet.issuer}/credential"
    in_json = {**body_of(wallet), "access_token": token}
    proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
    assert_refused(wallet.http.post(url, json=in_json, headers={"DPoP": proof}), 401, None)
    assert_refused(wallet.http.post(url, data={"access_token": token}, headers={"DPoP": proof}), 401, None)
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("C-25", "DP-25")
@pytest.mark.parametrize("schemes", [("DPoP", "DPoP"), ("DPoP", "Bearer"), ("Bearer", "DPoP"), ("Bearer", "Bearer")])
def test_two_authorization_headers_are_refused(wallet: RawWallet, schemes: tuple[str, str]) -> None:
    token, url = wallet.access_token(), f"{wallet.issuer}/credential"
    body = body_of(wallet)
    proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
    headers = [("DPoP", proof), *(("Authorization", f"{scheme} {token}") for scheme in schemes)]
    answer = wallet.http.post(url, json=body, headers=headers)
    assert_refused(answer, 400, "invalid_request")
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]
    assert wallet.credential(token, body).status_code == 200


@pytest.mark.rule("DP-25", "C-25")
def test_two_credentials_in_one_header_are_refused(wallet: RawWallet) -> None:
    token = wallet.access_token()
    answer = wallet.credential(token, headers={"Authorization": f"Bearer {token}, DPoP {token}"})
    assert_refused(answer, 400, "invalid_request")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("C-25")
@pytest.mark.parametrize(
    "value", ["DPoP\t{}", "DPoP  {}", "DPoP\t {}", "{}", "DPoP", "DPoP{}", "DPoP token={}", "Basic {}", "DPoP {} x", ""]
)
def test_other_spellings_of_the_header_are_never_served(wallet: RawWallet, value: str) -> None:
    token = wallet.access_token()
    answer = wallet.credential(token, headers={"Authorization": value.format(token)})
    assert_refused(answer, 401, "invalid_token")
    assert wallet.credential(token).status_code == 200


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
def test_schemes_have_no_case(wallet: RawWallet, scheme: str) -> None:
    # RFC 9110 §11.1
    assert wallet.credential(wallet.access_token(), scheme=scheme).status_code == 200


# The proof beside it


@pytest.mark.rule("DP-23", "D-06")
@pytest.mark.parametrize("dpop", [True, False])
def test_a_bound_token_is_no_bearer_token(wallet: RawWallet, dpop: bool) -> None:
    token = wallet.access_token()
    assert_refused(wallet.credential(token, scheme="Bearer", dpop=dpop), 401, "invalid_token")
    assert wallet.credential(token).status_code == 200


@pytest.mark.rule("D-06", "DP-22")
def test_a_bearer_token_is_no_bound_token(own_server: RunningServer) -> None:
    own_server.apply(document({"dpop": {"tokens": "optional"}}))
    with own_server.wallet() as wallet:
        answer = wallet.exchange(wallet.code(dpop=False), dpop=False)
        assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
        token = answer.json()["access_token"]
        assert_refused(wallet.credential(token), 401, "invalid_token")
        assert wallet.credential(token, scheme="Bearer", dpop=False).status_code == 200


@pytest.mark.parametrize(
    ("dpop", "code"),
    [
        pytest.param(False, "invalid_dpop_proof", marks=pytest.mark.rule("DP-22")),
        pytest.param("garbage", "invalid_dpop_proof", marks=pytest.mark.rule("DP-22")),
        pytest.param({"claims": {"ath": ABSENT}}, "invalid_dpop_proof", marks=pytest.mark.rule("DP-22", "D-06")),
        pytest.param({"claims": {"ath": "x" * 43}}, "invalid_dpop_proof", marks=pytest.mark.rule("DP-22", "D-06")),
        pytest.param({"access_token": "other"}, "invalid_dpop_proof", marks=pytest.mark.rule("DP-22", "D-06")),
        pytest.param({"claims": {"htm": "GET"}}, "invalid_dpop_proof", marks=pytest.mark.rule("DP-22")),
        pytest.param({"key": Key()}, "invalid_token", marks=pytest.mark.rule("DP-17", "L-11")),
    ],
)
def test_a_wrong_proof_is_refused_and_costs_nothing(wallet: RawWallet, dpop: Any, code: str) -> None:
    token, body = wallet.access_token(), body_of(wallet)
    answer = wallet.credential(token, body, dpop=dpop)
    assert_refused(answer, 401, code)
    assert f'error="{code}"' in answer.headers["www-authenticate"]
    assert "DPoP-Nonce" not in answer.headers
    assert wallet.credential(token, body).status_code == 200


@pytest.mark.rule("DP-22")
def test_a_proof_for_another_endpoint_is_refused(wallet: RawWallet) -> None:
    token, body = wallet.access_token(), body_of(wallet)
    proof = wallet.dpop("POST", f"{wallet.issuer}/token", access_token=token, nonce=wallet.nonces["resource"])
    assert_refused(wallet.credential(token, body, dpop=proof), 401, "invalid_dpop_proof")
    assert wallet.credential(token, body).status_code == 200


@pytest.mark.rule("DP-27")
def test_a_nonce_is_asked_for_and_nothing_is_spent(wallet: RawWallet) -> None:
    token, body, url = wallet.access_token(), body_of(wallet), f"{wallet.issuer}/credential"
    answer = wallet.credential(token, body, dpop=wallet.dpop("POST", url, access_token=token))
    assert_refused(answer, 401, "use_dpop_nonce")
    assert answer.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
    assert len(answer.headers.get_list("DPoP-Nonce")) == 1
    again = wallet.dpop("POST", url, access_token=token, nonce=answer.headers["DPoP-Nonce"])
    assert wallet.credential(token, body, dpop=again).status_code == 200


def test_a_proof_works_once(wallet: RawWallet) -> None:
    token, body, url = wallet.access_token(), body_of(wallet), f"{wallet.issuer}/credential"
    proof = wallet.dpop("POST", url, access_token=token, nonce=wallet.nonces["resource"])
    assert wallet.credential(token, body, dpop=proof).status_code == 200
    assert_refused(wallet.credential(token, dpop=proof), 401, "invalid_dpop_proof")
    assert wallet.credential(token).status_code == 200
