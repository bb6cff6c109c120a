from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import jwk
from app.protocol.key_proof import KeyProof, judge_key_proof
from app.protocol.refusal import Refusal
from tests.protocol.jwts import KEY, KEY_384, OTHER_KEY, algorithm, make_jwt, public_jwk

NOW = 1_800_000_000
ISSUER = "https://issuer.example/pid-provider"
CLIENT = "wallet"
MISSING: Any = object()


def proof(*, header: dict[str, Any] | None = None, key: ec.EllipticCurvePrivateKey = KEY, **claims: Any) -> str:
    full_header = {"typ": "openid4vci-proof+jwt", "alg": algorithm(key), "jwk": public_jwk(key)} | (header or {})
    payload = {"aud": ISSUER, "iat": NOW, "nonce": "live"} | claims
    return make_jwt(
        {name: value for name, value in full_header.items() if value is not MISSING},
        {name: value for name, value in payload.items() if value is not MISSING},
        key,
    )


def judge(token: str, client_id: str | None = CLIENT) -> KeyProof:
    return judge_key_proof(
        token,
        expected_audience=ISSUER,
        expected_client_id=client_id,
        live_nonce=lambda value: value == "live",
        algorithms=["ES256"],
        now=NOW,
    )


def refusal(token: str, client_id: str | None = CLIENT) -> str:
    with pytest.raises(Refusal) as refused:
        judge(token, client_id)
    return refused.value.code


@pytest.mark.parametrize(
    "token",
    [
        proof(),
        proof(iss=CLIENT),
        proof(exp=NOW + 1, nbf=NOW),
        proof(header={"kid": MISSING, "unknown": 1}, unknown=1),
        proof(header={"jwk": {**public_jwk(KEY), "kid": "1", "use": "sig"}}),
        proof(iat=NOW - 300),
        proof(iat=NOW + 60),
    ],
)
def test_right_proofs(token: str) -> None:
    assert judge(token) == KeyProof(jwk=public_jwk(KEY), jkt=jwk.thumbprint(public_jwk(KEY)), nonce="live")


@pytest.mark.rule("PRF-01", "L-05", "E-09")
@pytest.mark.parametrize("typ", [MISSING, None, "JWT", "dpop+jwt", "kb+jwt", "OPENID4VCI-PROOF+JWT"])
def test_the_type_is_key_proof(typ: Any) -> None:
    assert refusal(proof(header={"typ": typ})) == "invalid_proof"


@pytest.mark.rule("PRF-02", "L-05")
@pytest.mark.parametrize(
    "header",
    [
        {"jwk": MISSING},
        {"kid": "did:example:1"},
        {"x5c": ["AA=="]},
        {"jwk": MISSING, "kid": "did:example:1"},
        {"jwk": MISSING, "x5c": ["AA=="]},
        {"kid": "x", "x5c": []},
        {"kid": None},
        {"trust_chain": []},
    ],
)
def test_the_key_is_named_by_jwk_alone(header: dict[str, Any]) -> None:
    assert refusal(proof(header=header)) == "invalid_proof"


@pytest.mark.rule("PRF-03", "L-05")
@pytest.mark.parametrize("name", ["none", "HS256", "RS256", "ES384", None])
def test_other_algorithms_are_refused(name: Any) -> None:
    assert refusal(proof(header={"alg": name})) == "invalid_proof"


@pytest.mark.rule("PRF-03")
def test_an_algorithm_that_is_not_offered_is_refused() -> None:
    assert refusal(proof(key=KEY_384)) == "invalid_proof"


@pytest.mark.rule("PRF-04", "L-06")
@pytest.mark.parametrize(
    "value", [public_jwk(OTHER_KEY), {**public_jwk(KEY), "d": "AA"}, {"kty": "oct", "k": "AA"}, [], "x", None]
)
def test_the_key_is_public_and_the_signers(value: Any) -> None:
    assert refusal(proof(header={"jwk": value})) == "invalid_proof"


@pytest.mark.rule("PRF-05", "L-04")
@pytest.mark.parametrize(
    "aud",
    [
        MISSING,
        None,
        "",
        ISSUER + "/",
        ISSUER + "/credential",
        [ISSUER],
        [ISSUER, "https://evil.example"],
        ISSUER.upper(),
    ],
)
def test_the_audience_is_the_issuer_alone(aud: Any) -> None:
    assert refusal(proof(aud=aud)) == "invalid_proof"


@pytest.mark.rule("PRF-06", "L-05")
@pytest.mark.parametrize(
    "claims",
    [
        {"iat": MISSING},
        {"iat": str(NOW)},
        {"iat": True},
        {"iat": NOW - 301},
        {"iat": NOW + 61},
        {"iat": NOW - 3600},
        {"exp": NOW},
        {"exp": "x"},
        {"nbf": NOW + 61},
    ],
)
def test_times_that_are_wrong(claims: dict[str, Any]) -> None:
    assert refusal(proof(**claims)) == "invalid_proof"


@pytest.mark.rule("PRF-07", "L-03", "L-02")
@pytest.mark.parametrize(
    ("nonce", "code"),
    [
        (MISSING, "invalid_proof"),
        (None, "invalid_proof"),
        (1, "invalid_proof"),
        ("", "invalid_proof"),
        ("x", "invalid_nonce"),
    ],
)
def test_a_missing_nonce_is_not_a_wrong_one(nonce: Any, code: str) -> None:
    assert refusal(proof(nonce=nonce)) == code


def test_a_nonce_is_judged_last() -> None:
    assert refusal(proof(nonce="x", aud="https://evil.example")) == "invalid_proof"


@pytest.mark.rule("PRF-08", "L-04", "L-01")
@pytest.mark.parametrize(
    ("iss", "client_id"), [("other", CLIENT), (CLIENT, None), ("", CLIENT), (None, CLIENT), ([CLIENT], CLIENT)]
)
def test_iss_is_the_client_of_the_token(iss: Any, client_id: str | None) -> None:
    assert refusal(proof(iss=iss), client_id) == "invalid_proof"


def test_an_anonymous_client_names_none() -> None:
    assert judge(proof(), None).nonce == "live"


@pytest.mark.parametrize("token", ["", "garbage", "e30.e30.e30"])
def test_what_is_no_jwt_is_refused(token: str) -> None:
    assert refusal(token) == "invalid_proof"
