"""What a presented credential says of itself: its type, its times, for whom and to whom it is (SD-JWT VC §2.2.2)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol.presentation import VerifiedPresentation
from tests.formats.judged import GOOD, judge, refused
from tests.protocol.certificates import NOW
from tests.protocol.jwts import KEY, b64, public_jwk
from tests.support.presented import (
    AUDIENCE,
    ISS,
    PERSON,
    VCT,
    SdJwt,
    digest,
    disclosure,
    present,
)
from tests.support.raw_wallet import ABSENT


def with_disclosed(name: str, value: Any, **payload: Any) -> SdJwt:
    """A credential in which a claim of that name is selectively disclosable, and disclosed."""
    text = disclosure("salt", name, value)
    return GOOD.bent(payload={name: ABSENT, "_sd": [digest(text)], **payload}, disclosures=[text])


@pytest.mark.rule("VC-15")
def test_what_a_verifier_has_afterwards() -> None:
    verified = judge(present(GOOD.disclosing("given_name", "age_over_18")))
    assert verified == VerifiedPresentation(
        format="dc+sd-jwt",
        vct=VCT,
        issuer=ISS,
        claims={
            "iss": ISS,
            "iat": GOOD.payload["iat"],
            "exp": GOOD.payload["exp"],
            "vct": VCT,
            "cnf": {"jwk": public_jwk(KEY)},
            "given_name": PERSON["given_name"],
            "age_over_18": True,
        },
        # RFC 7638 over the key of `cnf`, computed by hand.
        holder_jkt="azCqFjv5sX0kGL-8_VC05Bjs3dXBaq1oWub2S6sYqBU",
        authority_key_ids=verified.authority_key_ids,
    )


PROTECTED: list[tuple[str, Any]] = [
    ("iss", ISS),
    ("nbf", NOW - 1),
    ("exp", NOW + 1),
    ("cnf", {"jwk": public_jwk(KEY)}),
    ("vct", VCT),
    ("vct#integrity", "sha256-x"),
    ("aka_vcts", []),
    ("aka_vcts", None),
    ("status", {"status_list": {"idx": 1, "uri": "https://a.example"}}),
]


@pytest.mark.rule("SD-20", "AG-09")
@pytest.mark.parametrize(("name", "value"), PROTECTED)
def test_protected_claims_are_not_disclosures(name: str, value: Any) -> None:
    refused(with_disclosed(name, value), f"{name} is selectively", status_unchecked=True)


@pytest.mark.rule("SD-20", "AG-09")
@pytest.mark.parametrize("disclosed", [True, False])
@pytest.mark.parametrize("name", ["status", "cnf"])
def test_members_of_protected_claims_are_not_disclosures(name: str, disclosed: bool) -> None:
    text = disclosure("salt", "status_list", {"idx": 1, "uri": "https://a.example"})
    nested = {name: {**GOOD.payload.get(name, {}), "_sd": [digest(text)]}, "_sd": []}
    refused(GOOD.bent(payload=nested, disclosures=[text] * disclosed), "selectively", status_unchecked=True)


NO_TEXT: list[Any] = [None, "", [VCT], 1, {}]
NO_OBJECT: list[Any] = [None, "", 1, []]


@pytest.mark.rule("SD-19", "VC-01")
@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"vct": ABSENT}, "vct is missing"),
        *(({"vct": value}, "vct is malformed") for value in NO_TEXT),
        ({"cnf": ABSENT}, "holder key"),
        *(({"iss": value}, "iss") for value in NO_TEXT),
        *(({"status": value}, "status") for value in NO_OBJECT),
    ],
)
def test_claims_that_are_missing_or_of_another_type(payload: Mapping[str, Any], text: str) -> None:
    refused(GOOD.bent(payload=payload), text)


@pytest.mark.rule("SD-21", "AG-16")
@pytest.mark.parametrize(
    ("payload", "right"),
    [
        ({"exp": NOW + 1}, True),
        ({"exp": NOW - 59}, True),
        ({"exp": NOW - 60}, False),
        ({"exp": ABSENT}, True),
        ({"nbf": NOW + 60}, True),
        ({"nbf": NOW + 61}, False),
        ({"iat": NOW + 60}, True),
        ({"iat": NOW + 61}, False),
        ({"iat": ABSENT}, True),
        *(
            ({name: value}, False)
            for name in ("exp", "nbf", "iat")
            for value in (str(NOW), True, None, -1, 2**63, [NOW], 1e300)
        ),
    ],
)
def test_times_are_judged(payload: Mapping[str, Any], right: bool) -> None:
    if right:
        judge(present(GOOD.bent(payload=payload)))
    else:
        refused(GOOD.bent(payload=payload), "expired|not valid yet|malformed")


@pytest.mark.rule("SD-26")
@pytest.mark.parametrize(
    ("audience", "right"),
    [
        (AUDIENCE, True),
        ([AUDIENCE], True),
        (["https://other.example", AUDIENCE], True),
        ("https://other.example", False),
        (["https://other.example"], False),
        (AUDIENCE + "/", False),
        ([], False),
        ("", False),
        ([[AUDIENCE]], False),
        (None, False),
        ({AUDIENCE: 1}, False),
    ],
)
def test_a_credential_for_somebody_else_is_not_for_us(audience: Any, right: bool) -> None:
    credential = GOOD.bent(payload={"aud": audience})
    if right:
        assert judge(present(credential)).claims["aud"] == audience
    else:
        refused(credential, "aud")


STATUS = {"status_list": {"idx": 1, "uri": "https://a.example"}}


@pytest.mark.rule("VC-12")
def test_a_status_is_not_passed_over() -> None:
    credential = GOOD.bent(payload={"status": STATUS})
    refused(credential, "with a status")
    assert judge(present(credential), status_unchecked=True).claims["status"] == STATUS


@pytest.mark.rule("VC-17")
def test_a_status_is_a_status_list() -> None:
    refused(GOOD.bent(payload={"status": {"other": {}}}), "without status_list", status_unchecked=True)


# Whom the holder key belongs to


@pytest.mark.rule("KB-12", "KB-13", "AG-13")
@pytest.mark.parametrize(
    "cnf",
    [
        {},
        {"kid": "1"},
        {"jku": "https://a.example/jwks", "kid": "1"},
        {"x5t#S256": "x"},
        {"jwk": public_jwk(KEY), "kid": "1"},
        {"jwk": public_jwk(KEY), "jku": "https://a.example/jwks"},
        {"jwk": "x"},
        {"jwk": [public_jwk(KEY)]},
        {"jwk": {**public_jwk(KEY), "d": b64(bytes(31) + b"\1")}},
        {"jwk": {**public_jwk(KEY), "k": "AA"}},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"jwk": {"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}},
        {"jwk": {**public_jwk(KEY), "crv": "P-257"}},
        {"jwk": {**public_jwk(KEY), "crv": []}},
        {"jwk": {**public_jwk(KEY), "use": "enc"}},
        {"jwk": {**public_jwk(KEY), "y": public_jwk(KEY)["x"]}},
    ],
)
def test_the_holder_key_is_one_public_key_by_value(cnf: Mapping[str, Any]) -> None:
    refused(GOOD.bent(payload={"cnf": cnf}), "cnf|JW[KS]")


@pytest.mark.rule("T-A1-12", "KB-12")
def test_the_thumbprint_is_of_the_key_however_it_is_written() -> None:
    key = ec.derive_private_key(379, ec.SECP256R1())
    written = public_jwk(key)
    assert written["x"].startswith("A"), "an x with a leading zero octet"
    stripped = {**written, "x": b64(base64.urlsafe_b64decode(written["x"] + "=")[1:])}
    canonical = json.dumps({name: written[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    thumbprint = b64(hashlib.sha256(canonical.encode()).digest())
    more = {"kid": "k", "alg": "ES256", "use": "sig", **written, "more": 1}
    for spelled in (written, more, dict(reversed(written.items()))):
        credential = GOOD.bent(payload={"cnf": {"jwk": spelled}})
        assert judge(present(credential, holder=key)).holder_jkt == thumbprint
    refused(GOOD.bent(payload={"cnf": {"jwk": stripped}}), "wrong length")
