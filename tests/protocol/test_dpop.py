import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import jwk
from app.protocol.dpop import DpopProof, judge_dpop_proof
from app.protocol.refusal import Refusal
from tests.protocol.jwts import (
    KEY,
    KEY_384,
    KEY_521,
    OTHER_KEY,
    algorithm,
    b64,
    make_jwt,
    public_jwk,
    read_vector,
)

NOW = 1_800_000_000
URL = "https://issuer.example/pid-provider/token"
TOKEN = "access-token"
ATH = b64(hashlib.sha256(TOKEN.encode()).digest())
MISSING: Any = object()


def proof(*, header: dict[str, Any] | None = None, key: ec.EllipticCurvePrivateKey = KEY, **claims: Any) -> str:
    full_header = {"typ": "dpop+jwt", "alg": algorithm(key), "jwk": public_jwk(key)} | (header or {})
    payload = {"jti": "a-jti", "htm": "POST", "htu": URL, "iat": NOW, "nonce": "live"} | claims
    return make_jwt(
        {name: value for name, value in full_header.items() if value is not MISSING},
        {name: value for name, value in payload.items() if value is not MISSING},
        key,
    )


def judge(
    token: str,
    *,
    access_token: str | None = None,
    live_nonce: Callable[[str], bool] | None = lambda value: value == "live",
    url: str = URL,
) -> DpopProof:
    return judge_dpop_proof(
        token,
        expected_method="POST",
        expected_url=url,
        expected_access_token=access_token,
        live_nonce=live_nonce,
        now=NOW,
    )


def refusal(token: str, **arguments: Any) -> str:
    with pytest.raises(Refusal) as refused:
        judge(token, **arguments)
    return refused.value.code


@pytest.mark.rule("DP-20")
def test_rfc9449_token_request() -> None:
    accepted = judge_dpop_proof(
        read_vector("rfc9449/token-request/proof.txt"),
        expected_method="POST",
        expected_url="https://server.example.com/token",
        live_nonce=None,
        now=1562262616,
    )
    assert accepted.jkt == read_vector("rfc9449/token-request/jkt.txt")
    assert accepted.jti == "-BwC3ESc6acc2lTc"


@pytest.mark.rule("DP-22")
@pytest.mark.parametrize(
    ("access_token", "right"), [("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", True), ("another", False)]
)
def test_rfc9449_resource_request(access_token: str, right: bool) -> None:
    try:
        judge_dpop_proof(
            read_vector("rfc9449/resource-request/proof.txt"),
            expected_method="GET",
            expected_url="https://resource.example.org/protectedresource",
            expected_access_token=access_token,
            live_nonce=None,
            now=1562262618,
        )
    except Refusal:
        assert not right
    else:
        assert right


@pytest.mark.parametrize("key", [KEY, KEY_384, KEY_521], ids=algorithm)
def test_a_right_proof(key: ec.EllipticCurvePrivateKey) -> None:
    assert judge(proof(key=key)) == DpopProof(
        jkt=jwk.thumbprint(public_jwk(key)), jti="a-jti", jti_expires_at=NOW + 420
    )


@pytest.mark.rule("DP-15")
def test_unknown_members_are_ignored() -> None:
    header = {"kid": "x", "jku": "https://a.example", "x5c": [], "unknown": 1}
    assert judge(proof(header=header, unknown={}, aud="x", sub=1)).jti == "a-jti"


@pytest.mark.rule("DP-03")
@pytest.mark.parametrize("name", ["typ", "alg", "jwk"])
def test_every_header_member_is_needed(name: str) -> None:
    assert refusal(proof(header={name: MISSING})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-03")
@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat"])
@pytest.mark.parametrize(
    "value", [MISSING, None, "", [], {}, True], ids=["missing", "null", "empty", "array", "object", "true"]
)
def test_every_claim_is_needed_and_typed(name: str, value: Any) -> None:
    assert refusal(proof(**{name: value})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-02", "D-04", "DP-01")
@pytest.mark.parametrize("token", ["", "garbage", proof() + "," + proof(), proof() + ", " + proof(), proof() + " "])
def test_what_is_not_one_jwt_is_refused(token: str) -> None:
    assert refusal(token) == "invalid_dpop_proof"


@pytest.mark.rule("DP-04", "E-09")
@pytest.mark.parametrize("typ", ["JWT", "openid4vci-proof+jwt", "kb+jwt", "DPOP+JWT", "application/dpop+jwt", 1, None])
def test_the_type_is_dpop(typ: Any) -> None:
    assert refusal(proof(header={"typ": typ})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-05", "D-07")
@pytest.mark.parametrize("name", ["none", "HS256", "RS256", "EdDSA", "ES384", None, 1])
def test_other_algorithms_are_refused(name: Any) -> None:
    assert refusal(proof(header={"alg": name})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-06")
def test_the_proof_is_signed_by_the_key_in_it() -> None:
    assert refusal(proof(header={"jwk": public_jwk(OTHER_KEY)})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-07", "D-07")
@pytest.mark.parametrize("value", [{**public_jwk(KEY), "d": "AA"}, {"kty": "oct", "k": "AA"}, {}, [], "x", None])
def test_the_jwk_is_a_public_key(value: Any) -> None:
    assert refusal(proof(header={"jwk": value})) == "invalid_dpop_proof"


@pytest.mark.rule("DP-08", "D-03")
@pytest.mark.parametrize("method", ["PUT", "GET", "post", "POST "])
def test_the_method_is_the_requests(method: str) -> None:
    assert refusal(proof(htm=method)) == "invalid_dpop_proof"


@pytest.mark.rule("DP-09", "DP-10")
@pytest.mark.parametrize(
    "htu",
    [
        URL + "?x=1#y",
        URL + "#y",
        URL + "?",
        "HTTPS://ISSUER.EXAMPLE:443/pid-provider/token",
        "https://issuer.example:/pid-provider/token",
        "https://issuer.example:0443/pid-provider/token",
        "https://issuer.example/pid%2dprovider/%74oken",
        "https://issuer.example/pid%2Dprovider/token?%zz",
    ],
)
def test_spellings_of_our_url_are_taken(htu: str) -> None:
    assert judge(proof(htu=htu)).jti == "a-jti"


@pytest.mark.rule("DP-09", "DP-11", "D-03")
@pytest.mark.parametrize(
    "htu",
    [
        "https://issuer.example/university/token",
        "https://issuer.example/pid-provider/Token",
        "https://issuer.example/PID-PROVIDER/token",
        "https://issuer.example/pid-provider/token/",
        "https://issuer.example/pid-provider//token",
        "https://issuer.example/pid-provider%2Ftoken",
        "https://issuer.example/pid-provider/x/../token",
        "https://issuer.example/pid-provider/./token",
        "https://issuer.example/pid-provider/%2e/token",
        "https://issuer.example/pid-provider/token;x",
        "https://issuer.example/pid-provider/token%00",
        "https://issuer.example/pid-provider/token%",
        "https://issuer.example/pid-provider\\token",
        "https://issuer.example/pid-provider/to\tken",
        "https://issuer.example/pid-provider/token\n",
        " https://issuer.example/pid-provider/token",
        "https://issuer.example./pid-provider/token",
        "https://issuer.example:8443/pid-provider/token",
        "http://issuer.example/pid-provider/token",
        "http://issuer.example:443/pid-provider/token",
        "https://user@issuer.example/pid-provider/token",
        "https://issuer.example@evil.example/pid-provider/token",
        "https://evil.example/pid-provider/token",
        "https://issuer.example.evil.example/pid-provider/token",
        "https://ⓘssuer.example/pid-provider/token",
        "https://issuer.example",
        "//issuer.example/pid-provider/token",
        "/pid-provider/token",
        "ftp://issuer.example/pid-provider/token",
        "garbage",
    ],
)
def test_other_urls_are_refused(htu: str) -> None:
    assert refusal(proof(htu=htu)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        ("http://localhost:8000/t/token", "http://LOCALHOST:8000/t/token"),
        ("http://[::1]:80/token", "http://[::1]/token"),
        ("https://own.example", "https://own.example/"),
    ],
)
def test_other_forms_of_configured_urls(url: str, htu: str) -> None:
    assert judge(proof(htu=htu), url=url).jti == "a-jti"


def test_a_misconfigured_url_is_nobodys() -> None:
    assert refusal(proof(htu="garbage"), url="garbage") == "invalid_dpop_proof"


@pytest.mark.rule("DP-12", "D-05")
@pytest.mark.parametrize(
    ("offset", "with_nonce", "without"),
    [
        (0, True, True),
        (-10, True, True),
        (10, True, True),
        (-120, True, True),
        (-121, True, False),
        (-300, True, False),
        (-301, False, False),
        (30, True, True),
        (31, True, False),
        (60, True, False),
        (61, False, False),
        (-3600, False, False),
        (3600, False, False),
    ],
)
def test_the_window_of_iat(offset: int, with_nonce: bool, without: bool) -> None:
    def accepted(live_nonce: Callable[[str], bool] | None) -> bool:
        try:
            judge(proof(iat=NOW + offset), live_nonce=live_nonce)
        except Refusal as refused:
            return refused.code != "invalid_dpop_proof"
        return True

    assert (accepted(lambda _: True), accepted(None)) == (with_nonce, without)


@pytest.mark.rule("DP-13")
@pytest.mark.parametrize(("length", "right"), [(1, True), (256, True), (257, False)])
def test_a_huge_jti_is_refused(length: int, right: bool) -> None:
    if right:
        assert judge(proof(jti="j" * length)).jti == "j" * length
    else:
        assert refusal(proof(jti="j" * length)) == "invalid_dpop_proof"


@pytest.mark.rule("DP-22", "D-06")
@pytest.mark.parametrize("ath", [MISSING, ATH[:-1], ATH + "=", b64(hashlib.sha256(b"x").digest()), TOKEN, "é", 1, None])
def test_a_resource_needs_the_hash_of_its_token(ath: Any) -> None:
    assert refusal(proof(ath=ath), access_token=TOKEN) == "invalid_dpop_proof"


def test_ath_is_the_hash_of_the_token() -> None:
    assert judge(proof(ath=ATH), access_token=TOKEN).jti == "a-jti"


@pytest.mark.rule("DP-26", "DP-28", "DP-29")
@pytest.mark.parametrize("nonce", [MISSING, "stale"])
def test_without_a_live_nonce_one_is_asked_for(nonce: Any) -> None:
    assert refusal(proof(nonce=nonce)) == "use_dpop_nonce"
    assert judge(proof(nonce=nonce), live_nonce=None).jti == "a-jti"


@pytest.mark.parametrize("nonce", ["", 1, None, ["live"], "n" * 1025])
def test_a_malformed_nonce_is_a_malformed_proof(nonce: Any) -> None:
    assert refusal(proof(nonce=nonce)) == "invalid_dpop_proof"


@pytest.mark.rule("D-05")
@pytest.mark.parametrize(
    "wrong",
    [{"htm": "PUT"}, {"htu": URL + "x"}, {"iat": NOW - 3600}, {"key": KEY, "header": {"jwk": public_jwk(OTHER_KEY)}}],
)
def test_a_nonce_is_asked_for_only_if_nothing_else_is_wrong(wrong: dict[str, Any]) -> None:
    assert refusal(proof(nonce="stale", **wrong)) == "invalid_dpop_proof"


def test_the_jti_is_kept_as_long_as_the_proof_can_be_accepted() -> None:
    """The latest `iat` that passes now, seen when it is as old as may be."""
    late = proof(iat=NOW + 60)
    kept_until = judge(late).jti_expires_at
    with pytest.raises(Refusal):
        judge_dpop_proof(late, expected_method="POST", expected_url=URL, live_nonce=lambda _: True, now=kept_until)
