"""Pure rules of the token endpoint and of access tokens."""

from typing import Any, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from app.protocol.client_auth import AuthenticatedClient
from app.protocol.dpop import DpopProof
from app.protocol.refusal import Refusal
from app.protocol.token import (
    VerifiedAccessToken,
    access_token_claims,
    check_grant_type,
    judge_code,
    sent_code,
    token_type,
    verify_access_token,
)
from tests.protocol.jwts import KEY, KEY_384, OTHER_KEY, make_jwt, public_jwk

NOW = 1_800_000_000
ISSUER = "https://issuer.example/pid-provider"
REDIRECT_URI = "https://wallet.example/cb"
# RFC 7636 Appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ABSENT: Any = object()


class Code(Struct, frozen=True, kw_only=True):
    client_id: str = "wallet"
    redirect_uri: str | None = REDIRECT_URI
    delivered: Literal["redirect", "json"] = "redirect"
    code_challenge: str | None = CHALLENGE
    dpop_jkt: str | None = "key-1"
    expires_at: int = NOW + 60
    used_at: int | None = None


def judge(code: Code | None, *, client_id: str = "wallet", jkt: str | None = "key-1", **form: Any) -> None:
    fields = {"redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER} | form
    judge_code(
        code,
        {name: value for name, value in fields.items() if value is not ABSENT},
        client=AuthenticatedClient(client_id=client_id, name=None, redirect_uris=[]),
        proof=None if jkt is None else DpopProof(jkt=jkt, jti="j", jti_expires_at=NOW),
        now=NOW,
    )


def refusal(code: Code | None, **arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        judge(code, **arguments)
    return refused.value


def test_the_rightful_redemption_passes() -> None:
    judge(Code())
    judge(Code(expires_at=NOW + 1))
    judge(Code(dpop_jkt=None))
    judge(Code(dpop_jkt=None), jkt=None)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        pytest.param(None, {}, id="unknown", marks=pytest.mark.rule("TOK-09")),
        pytest.param(Code(expires_at=NOW), {}, id="expired", marks=pytest.mark.rule("TOK-09", "AZ-14")),
        pytest.param(Code(), {"client_id": "other"}, id="client", marks=pytest.mark.rule("TOK-05", "C-12")),
        pytest.param(Code(), {"redirect_uri": ABSENT}, id="no redirect", marks=pytest.mark.rule("TOK-07", "C-02")),
        pytest.param(
            Code(), {"redirect_uri": REDIRECT_URI + "/"}, id="other redirect", marks=pytest.mark.rule("TOK-07", "C-02")
        ),
        pytest.param(
            Code(redirect_uri=None), {}, id="redirect out of nowhere", marks=pytest.mark.rule("TOK-07", "C-02")
        ),
        pytest.param(Code(delivered="json"), {"redirect_uri": "https://evil.example"}, id="JSON, other redirect"),
        pytest.param(Code(), {"code_verifier": ABSENT}, id="no verifier", marks=pytest.mark.rule("TOK-12", "C-14")),
        pytest.param(
            Code(), {"code_verifier": VERIFIER[:-1] + "l"}, id="verifier", marks=pytest.mark.rule("TOK-12", "C-13")
        ),
        pytest.param(Code(), {"code_verifier": CHALLENGE}, id="challenge as verifier", marks=pytest.mark.rule("C-14")),
        pytest.param(Code(code_challenge=None), {}, id="downgrade", marks=pytest.mark.rule("C-14")),
        pytest.param(Code(), {"jkt": "key-2"}, id="key", marks=pytest.mark.rule("DP-33", "D-08", "AZ-26")),
        pytest.param(Code(), {"jkt": None}, id="no proof", marks=pytest.mark.rule("DP-34")),
    ],
)
def test_every_other_redemption_is_the_same_refusal(code: Code | None, arguments: dict[str, Any]) -> None:
    refused = refusal(code, **arguments)
    assert (refused.code, refused.public) == ("invalid_grant", refusal(None).public)


def test_a_code_delivered_in_json_may_come_without_redirect_uri() -> None:
    judge(Code(delivered="json"), redirect_uri=ABSENT)
    judge(Code(delivered="json"))


@pytest.mark.rule("TOK-10")
def test_a_used_code_passes_only_where_all_else_is_right() -> None:
    used = Code(used_at=NOW - 100, expires_at=NOW - 50)
    judge(used)
    for wrong in ({"client_id": "other"}, {"redirect_uri": ABSENT}, {"code_verifier": "x" * 43}, {"jkt": "key-2"}):
        assert refusal(used, **wrong).code == "invalid_grant"


@pytest.mark.rule("TOK-02", "TOK-03")
@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "AUTHORIZATION_CODE"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ],
)
def test_grant_types(form: dict[str, str], code: str) -> None:
    check_grant_type({"grant_type": "authorization_code"})
    with pytest.raises(Refusal) as refused:
        check_grant_type(form)
    assert refused.value.code == code


def test_a_missing_code_is_malformed() -> None:
    assert sent_code({"code": "x"}) == "x"
    with pytest.raises(Refusal) as refused:
        sent_code({})
    assert refused.value.code == "invalid_request"


# Access tokens

KEYS = {"k1": KEY.public_key(), "k2": OTHER_KEY.public_key()}


def claims(**changes: Any) -> dict[str, Any]:
    made = access_token_claims(
        issuer=ISSUER,
        subject="grant",
        client_id="wallet",
        token_id="token",
        scope="pid",
        jkt="a-thumbprint",
        issued_at=NOW,
        expires_at=NOW + 300,
    )
    return {name: value for name, value in {**made, **changes}.items() if value is not ABSENT}


def token(header: dict[str, Any] | None = None, key: ec.EllipticCurvePrivateKey = KEY, **changes: Any) -> str:
    full = {"typ": "at+jwt", "alg": "ES256", "kid": "k1", **(header or {})}
    return make_jwt({name: value for name, value in full.items() if value is not ABSENT}, claims(**changes), key)


def verify(text: str, *, now: int = NOW) -> VerifiedAccessToken:
    return verify_access_token(text, issuer=ISSUER, keys=KEYS, now=now)


@pytest.mark.rule("TOK-21", "DP-20")
def test_the_claims_of_a_bound_token() -> None:
    assert claims() == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "grant",
        "client_id": "wallet",
        "jti": "token",
        "scope": "pid",
        "iat": NOW,
        "exp": NOW + 300,
        "cnf": {"jkt": "a-thumbprint"},
    }


@pytest.mark.rule("TOK-17")
def test_a_bearer_token_has_no_confirmation_and_says_so() -> None:
    unbound = access_token_claims(
        issuer=ISSUER,
        subject="grant",
        client_id="wallet",
        token_id="token",
        scope=None,
        jkt=None,
        issued_at=NOW,
        expires_at=NOW + 300,
    )
    assert not {"cnf", "scope"} & unbound.keys()
    assert (token_type(None), token_type("a-thumbprint")) == ("Bearer", "DPoP")


def test_tokens_that_are_ours() -> None:
    verified = VerifiedAccessToken(token_id="token", client_id="wallet", jkt="a-thumbprint")
    assert verify(token()) == verified
    assert verify(token(header={"kid": "k2"}, key=OTHER_KEY)) == verified
    assert verify(token(), now=NOW + 299) == verified
    assert verify(token(cnf=ABSENT)) == msgspec.structs.replace(verified, jkt=None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token(header={"typ": "JWT"}), id="JWT", marks=pytest.mark.rule("C-24", "E-09")),
        pytest.param(token(header={"typ": "dpop+jwt"}), id="dpop", marks=pytest.mark.rule("C-24", "E-09")),
        pytest.param(token(header={"typ": ABSENT}), id="no typ", marks=pytest.mark.rule("C-24", "E-09")),
        pytest.param(token(header={"kid": ABSENT}), id="no kid", marks=pytest.mark.rule("E-05")),
        pytest.param(token(header={"kid": "k3"}), id="unknown kid", marks=pytest.mark.rule("E-05")),
        pytest.param(token(header={"kid": ["k1"]}), id="kid array", marks=pytest.mark.rule("E-05")),
        pytest.param(token(header={"kid": {"k1": 1}}), id="kid object", marks=pytest.mark.rule("E-05")),
        pytest.param(
            token(header={"jwk": public_jwk(OTHER_KEY)}, key=OTHER_KEY), id="own jwk", marks=pytest.mark.rule("E-04")
        ),
        pytest.param(token(key=OTHER_KEY), id="another key of ours", marks=pytest.mark.rule("E-04")),
        pytest.param(token(header={"alg": "none"}), id="none", marks=pytest.mark.rule("E-01", "G-14")),
        pytest.param(token(header={"alg": "HS256"}), id="HS256", marks=pytest.mark.rule("E-02", "E-03", "G-14")),
        pytest.param(token(header={"alg": "ES384"}, key=KEY_384), id="ES384", marks=pytest.mark.rule("E-03", "E-13")),
        pytest.param(token(header={"crit": ["exp"]}), id="crit", marks=pytest.mark.rule("E-08")),
        pytest.param(token(iss="https://issuer.example/other"), id="iss", marks=pytest.mark.rule("M-02", "L-11")),
        pytest.param(token(aud="https://issuer.example/other"), id="aud", marks=pytest.mark.rule("M-02", "L-11")),
        pytest.param(token(aud=[ISSUER, "https://evil.example"]), id="aud list", marks=pytest.mark.rule("L-11")),
        pytest.param(token(exp=NOW), id="expired", marks=pytest.mark.rule("CR-02", "L-11")),
    ],
)
def test_what_is_no_token_of_ours(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        verify(text)
    assert refused.value.code == "invalid_token"


def assert_no_token_of_ours(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        verify(token(**changes))
    assert refused.value.code == "invalid_token"


NO_DATES: list[Any] = [ABSENT, None, "1900000000", True, -1, [NOW], float("inf"), float("nan"), 10**400]
NO_TEXTS: list[Any] = [ABSENT, None, "", 1, {}]
NO_CONFIRMATIONS: list[Any] = [None, {}, "a-thumbprint", {"jkt": 1}, {"jkt": None}, []]


@pytest.mark.rule("E-16")
@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize("value", NO_DATES, ids=lambda value: f"{value!r:.12}")
def test_times_that_are_none(name: str, value: Any) -> None:
    assert_no_token_of_ours({name: value})


@pytest.mark.rule("TOK-21")
@pytest.mark.parametrize("name", ["iss", "aud", "sub", "client_id", "jti"])
@pytest.mark.parametrize("value", NO_TEXTS, ids=lambda value: f"{value!r:.12}")
def test_claims_that_are_missing_or_no_text(name: str, value: Any) -> None:
    assert_no_token_of_ours({name: value})


@pytest.mark.rule("DP-22")
@pytest.mark.parametrize("value", NO_CONFIRMATIONS, ids=repr)
def test_a_confirmation_that_cannot_be_read_is_no_bearer_token(value: Any) -> None:
    assert_no_token_of_ours({"cnf": value})
