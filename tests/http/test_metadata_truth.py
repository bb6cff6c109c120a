"""The well-known documents: whether what they say is what is served."""

import hashlib
import json
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.http.issued import issued
from tests.http.well_known import issuer_metadata, metadata
from tests.protocol.jwts import KEY_384, KEY_521, algorithm, b64, make_jwt, public_jwk
from tests.support.documents import document
from tests.support.raw_wallet import ABSENT, Browser, RawWallet, error_of, redirect_parameters
from tests.support.server import RunningServer

# The authorization server


@pytest.mark.rule("ASM-06", "ASM-07")
def test_response_types_and_grant_types_are_those_that_work(wallet: RawWallet) -> None:
    document = metadata(wallet)
    assert (document["response_types_supported"], document["response_modes_supported"]) == (["code"], ["query"])
    assert document["grant_types_supported"] == ["authorization_code"]
    assert wallet.exchange(wallet.code()).status_code == 200
    assert error_of(wallet.push({"response_type": "token"})) == (400, "unsupported_response_type")
    for grant_type in (
        "refresh_token",
        "implicit",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:pre-authorized_code",
    ):
        assert error_of(wallet.exchange("code", {"grant_type": grant_type})) == (400, "unsupported_grant_type")


@pytest.mark.rule("ASM-08")
def test_clients_authenticate_as_listed(wallet: RawWallet) -> None:
    assert metadata(wallet)["token_endpoint_auth_methods_supported"] == ["none"]
    assert wallet.push().status_code == 201
    for changes in ({"client_secret": "x"}, {"client_assertion": "x", "client_assertion_type": "y"}):
        assert error_of(wallet.push(changes)) == (401, "invalid_client")


@pytest.mark.rule("ASM-12")
def test_pkce_is_as_listed(wallet: RawWallet) -> None:
    assert metadata(wallet)["code_challenge_methods_supported"] == ["S256"]
    for changes in (
        {"code_challenge_method": "plain"},
        {"code_challenge_method": ABSENT},
        {"code_challenge": ABSENT, "code_challenge_method": ABSENT},
    ):
        assert error_of(wallet.push(changes)) == (400, "invalid_request")


@pytest.mark.rule("ASM-13", "ASM-14")
def test_requests_are_pushed(wallet: RawWallet) -> None:
    document = metadata(wallet)
    assert document["require_pushed_authorization_requests"] is True
    pushed = wallet.http.post(document["pushed_authorization_request_endpoint"], data=wallet.push_form())
    assert pushed.status_code == 201
    unpushed = wallet.http.get(document["authorization_endpoint"], params=wallet.push_form())
    assert (unpushed.status_code, "location" in unpushed.headers) == (400, False)


@pytest.mark.rule("ASM-15")
def test_dpop_algorithms_are_those_that_work(wallet: RawWallet) -> None:
    assert metadata(wallet)["dpop_signing_alg_values_supported"] == ["ES256", "ES384", "ES512"]
    wallet.push()  # for a nonce

    def pushed(key: ec.EllipticCurvePrivateKey, name: str) -> httpx2.Response:
        header = {"typ": "dpop+jwt", "alg": name, "jwk": public_jwk(key)}
        claims = {"jti": name, "htm": "POST", "htu": f"{wallet.issuer}/par", "iat": wallet.clock.now()}
        return wallet.push(dpop=make_jwt(header, claims | {"nonce": wallet.nonces["as"]}, key))

    for key in (wallet.key.private, KEY_384, KEY_521):
        assert pushed(key, algorithm(key)).status_code == 201
    for other in ("RS256", "PS256", "EdDSA", "HS256", "none", "ES256K"):
        assert error_of(pushed(wallet.key.private, other)) == (400, "invalid_dpop_proof")


@pytest.mark.rule("ASM-15")
@pytest.mark.parametrize("key", [KEY_384, KEY_521])
def test_the_journey_with_each_dpop_algorithm(wallet: RawWallet, key: ec.EllipticCurvePrivateKey) -> None:
    def proof(path: str, family: str, **claims: Any) -> str:
        header = {"typ": "dpop+jwt", "alg": algorithm(key), "jwk": public_jwk(key)}
        claims |= {"htm": "POST", "htu": wallet.issuer + path, "iat": wallet.clock.now(), "jti": path}
        return make_jwt(header, claims | {"nonce": wallet.nonces[family]}, key)

    code = wallet.code(dpop=False)
    wallet.exchange("unknown")  # for a nonce
    token = wallet.exchange(code, dpop=proof("/token", "as")).json()["access_token"]
    proofs = {"jwt": [wallet.key_proof(wallet.c_nonce())]}
    dpop = proof("/credential", "resource", ath=b64(hashlib.sha256(token.encode()).digest()))
    assert wallet.credential(token, {"proofs": proofs}, dpop=dpop).status_code == 200


@pytest.mark.rule("ASM-16")
def test_iss_is_in_the_answer_and_is_the_issuer(wallet: RawWallet, browser: Browser) -> None:
    document = metadata(wallet)
    assert document["authorization_response_iss_parameter_supported"] is True
    answer = redirect_parameters(browser.walk(wallet.authorize_url(wallet.push())))
    assert answer["iss"] == document["issuer"]


@pytest.mark.rule("ASM-27", "ASM-23")
def test_scopes_and_details_types_are_those_that_work(wallet: RawWallet) -> None:
    document = metadata(wallet)
    assert document["scopes_supported"] == ["pid", "residence"]
    for scope in document["scopes_supported"]:
        assert wallet.push({"scope": scope}).status_code == 201
    assert error_of(wallet.push({"scope": "withdrawn"})) == (400, "invalid_scope")
    assert document["authorization_details_types_supported"] == ["openid_credential"]
    for kind, answer in (("openid_credential", (201, None)), ("other", (400, "invalid_authorization_details"))):
        details = json.dumps([{"type": kind, "credential_configuration_id": "pid"}])
        assert error_of(wallet.push({"scope": ABSENT, "authorization_details": details})) == answer


# The credential issuer


@pytest.mark.rule("CIM-15", "CIM-26")
def test_configurations_are_those_that_are_enabled(own_server: RunningServer) -> None:
    with own_server.wallet() as wallet:
        told = issuer_metadata(wallet)["credential_configurations_supported"]
        assert {name: (entry["format"], entry["vct"]) for name, entry in told.items()} == {
            "pid": ("dc+sd-jwt", "urn:eudi:pid:1"),
            "residence": ("dc+sd-jwt", "urn:example:residence:1"),
        }
        changes = {"credentials": {"pid": {"enabled": False}, "withdrawn": {"enabled": True}}}
        own_server.apply(document(changes))
        told = issuer_metadata(wallet)["credential_configurations_supported"]
        assert told.keys() == {"residence", "withdrawn"}
        assert metadata(wallet)["scopes_supported"] == ["residence", "withdrawn"]
        assert error_of(wallet.push()) == (400, "invalid_scope")
        assert wallet.push({"scope": "withdrawn"}).status_code == 201


@pytest.mark.rule("CIM-24", "CIM-25", "CIM-32")
@pytest.mark.parametrize("name", ["pid", "residence"])
def test_what_is_issued_is_what_was_told(wallet: RawWallet, name: str) -> None:
    told = issuer_metadata(wallet)["credential_configurations_supported"][name]
    token = wallet.access_token({"scope": told["scope"]})
    credential = issued(wallet.credential(token, {"credential_configuration_id": name}))
    assert credential.header["typ"] == told["format"]
    assert credential.payload["vct"] == told["vct"]
    assert credential.header["alg"] in told["credential_signing_alg_values_supported"]
    described = told["credential_metadata"]["claims"]
    paths = [tuple(claim["path"]) for claim in described]
    assert len(set(paths)) == len(paths)
    leaves = {*credential.disclosed, *credential.payload}
    assert {claim["path"][-1] for claim in described if claim["mandatory"]} <= leaves
    assert credential.disclosed.keys() <= {path[-1] for path in paths}


@pytest.mark.rule("CIM-16", "CIM-17", "CIM-18")
def test_proof_types_are_told_as_they_are_demanded(wallet: RawWallet) -> None:
    for entry in issuer_metadata(wallet)["credential_configurations_supported"].values():
        assert entry["cryptographic_binding_methods_supported"] == ["jwk"]
        assert entry["proof_types_supported"] == {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}}
    token = wallet.access_token()
    assert wallet.credential(token).status_code == 200
    assert error_of(wallet.credential(token, {"proofs": ABSENT})) == (400, "invalid_proof")


@pytest.mark.rule("CIM-14", "CIM-19")
def test_no_batch_and_no_attestation_is_told_or_taken(wallet: RawWallet) -> None:
    document = issuer_metadata(wallet)
    assert "batch_credential_issuance" not in document
    assert "key_attestations_required" not in json.dumps(document)
    token, nonce = wallet.access_token(), wallet.c_nonce()
    two = {"proofs": {"jwt": [wallet.key_proof(nonce), wallet.key_proof(nonce)]}}
    assert error_of(wallet.credential(token, two)) == (400, "invalid_proof")
    assert wallet.credential(token, {"proofs": {"jwt": [wallet.key_proof(nonce)]}}).status_code == 200


@pytest.mark.rule("CIM-23")
def test_everything_shown_has_a_name_and_each_language_once(wallet: RawWallet) -> None:
    document = issuer_metadata(wallet)
    displays = [document["display"]]
    for entry in document["credential_configurations_supported"].values():
        described = entry["credential_metadata"]
        displays += [described["display"], *(claim["display"] for claim in described["claims"] if "display" in claim)]
    assert len(displays) > 3
    for display in displays:
        assert all(entry["name"] for entry in display)
        locales = [entry["locale"] for entry in display]
        assert len(set(locales)) == len(locales)
