import itertools
import json
import re
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import jose, jwk
from app.protocol.jose import BadSignature
from app.protocol.strict_json import Malformed
from tests.protocol.jwts import (
    KEY,
    KEY_384,
    KEY_521,
    OTHER_KEY,
    algorithm,
    b64,
    make_jwt,
    read_json_vector,
    read_vector,
    segment,
    sign,
)

ALL = tuple(jose.ALGORITHMS)
KEYS = [KEY, KEY_384, KEY_521]


def verify(token: str, key: ec.EllipticCurvePrivateKey = KEY) -> jose.VerifiedJwt:
    return jose.verify_jwt(jose.parse_jwt(token), key.public_key(), algorithms=ALL)


def test_rfc7515_a3() -> None:
    key = jwk.import_public_jwk(read_json_vector("rfc7515/a3-es256/jwk.json"), algorithm="ES256")
    unverified = jose.parse_jwt(read_vector("rfc7515/a3-es256/jws.txt"))
    verified = jose.verify_jwt(unverified, key, algorithms=["ES256"])
    assert verified.payload == read_json_vector("rfc7515/a3-es256/payload.json")


@pytest.mark.parametrize("key", KEYS, ids=algorithm)
def test_pyjwt_and_we_read_each_other(key: ec.EllipticCurvePrivateKey) -> None:
    payload = {"sub": "é😀", "n": [1, 2.5, None]}
    theirs = pyjwt.encode(payload, key, algorithm=algorithm(key), headers={"kid": "1"})
    assert verify(theirs, key).payload == payload

    signed = jose.signing_input({"alg": algorithm(key), "typ": "x"}, payload)
    der = key.sign(signed, jose.ALGORITHMS[algorithm(key)].ecdsa)
    ours = jose.compact(signed, jose.raw_signature(der, algorithm=algorithm(key)))
    assert pyjwt.decode(ours, key.public_key(), algorithms=[algorithm(key)]) == payload
    assert verify(ours, key).header == {"alg": algorithm(key), "typ": "x"}


@given(st.integers(0, 200), st.integers(0, 7))
def test_no_flipped_bit_verifies(position: int, bit: int) -> None:
    """Whatever PyJWT refuses we refuse; a flip in the text never yields a verified JWT with other content."""
    token = make_jwt({"alg": "ES256"}, {"a": 1, "b": "some text to make it longer"})
    index = position % len(token)
    flipped = token[:index] + chr(ord(token[index]) ^ (1 << bit)) + token[index + 1 :]
    with pytest.raises((Malformed, BadSignature)):
        verify(flipped)


HEADER = {"alg": "ES256"}
SIGNED = f"{segment(HEADER)}.{segment({})}"


@pytest.mark.rule("E-08", "E-10", "E-15")
@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c.d",
        "e30.e30.",
        make_jwt(HEADER, {}) + ".",
        make_jwt(HEADER, {}) + "=",
        make_jwt(HEADER, {}) + "\n",
        " " + make_jwt(HEADER, {}),
        make_jwt([], {}),
        make_jwt(HEADER, []),
        make_jwt(HEADER, b'{"a":1,"a":2}'),
        make_jwt(b'{"alg":"ES256","alg":"none"}', {}),
        make_jwt(HEADER, b"\xff"),
        make_jwt({}, {}),
        make_jwt({"alg": None}, {}),
        make_jwt({"alg": ["ES256"]}, {}),
        make_jwt({**HEADER, "crit": ["exp"], "exp": 1}, {}),
        make_jwt({**HEADER, "crit": []}, {}),
        make_jwt({**HEADER, "b64": False}, {}),
        make_jwt({**HEADER, "b64": True}, {}),
        make_jwt(HEADER, {"a": "x" * 8192}),
    ],
    ids=itertools.count(),
)
def test_what_is_no_compact_jwt_is_malformed(token: str) -> None:
    with pytest.raises(Malformed):
        jose.parse_jwt(token)


@pytest.mark.rule("E-01", "E-03")
@pytest.mark.parametrize("name", ["none", "nOnE", "", "HS256", "RS256", "ES256K", "EdDSA", "es256", "ES384"])
def test_other_algorithms_are_refused(name: str) -> None:
    unverified = jose.parse_jwt(make_jwt({"alg": name}, {}))
    with pytest.raises(Malformed):
        jose.verify_jwt(unverified, KEY.public_key(), algorithms=["ES256"])


@pytest.mark.rule("E-13")
@pytest.mark.parametrize(("name", "key"), [("ES384", KEY), ("ES256", KEY_384), ("ES256", KEY_521)])
def test_the_key_is_of_the_algorithms_curve(name: str, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(Malformed, match="do not match"):
        verify(make_jwt({"alg": name}, {}, key), key)


def test_an_algorithm_off_the_callers_list_is_refused() -> None:
    unverified = jose.parse_jwt(make_jwt({"alg": "ES384"}, {}, KEY_384))
    with pytest.raises(Malformed, match="not accepted"):
        jose.verify_jwt(unverified, KEY_384.public_key(), algorithms=["ES256"])


RAW = sign(KEY, SIGNED.encode())
ORDER = jose.ALGORITHMS["ES256"].curve.group_order


@pytest.mark.rule("E-12")
@pytest.mark.parametrize(
    "signature",
    [
        b"",
        RAW[:-1],
        RAW + b"\x00",
        b"\x00" + RAW[:32] + b"\x00" + RAW[32:],
        b"\x00" + RAW,
        KEY.sign(SIGNED.encode(), ec.ECDSA(hashes.SHA256())),
        b"\x00" * 64,
        b"\x00" * 32 + RAW[32:],
        RAW[:32] + b"\x00" * 32,
        RAW[:32] + ORDER.to_bytes(32, "big"),
        ORDER.to_bytes(32, "big") + RAW[32:],
        b"\xff" * 64,
        RAW[32:] + RAW[:32],
        sign(OTHER_KEY, SIGNED.encode()),
    ],
    ids=itertools.count(),
)
def test_other_signatures_do_not_verify(signature: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(f"{SIGNED}.{b64(signature)}")


def test_s_plus_n_does_not_stand_for_s() -> None:
    """P-521 leaves room above n in its octets, so s + n fits there too."""
    token_input = f"{segment({'alg': 'ES512'})}.{segment({})}"
    raw = sign(KEY_521, token_input.encode())
    order = jose.ALGORITHMS["ES512"].curve.group_order
    s = int.from_bytes(raw[66:], "big") + order
    with pytest.raises(BadSignature, match="out of range"):
        verify(f"{token_input}.{b64(raw[:66] + s.to_bytes(66, 'big'))}", KEY_521)


@pytest.mark.rule("E-04", "E-06")
@pytest.mark.parametrize("name", ["kid", "jku", "x5u", "x5c", "jwk"])
def test_nothing_in_the_header_chooses_the_key(name: str) -> None:
    values: dict[str, Any] = {"jwk": jwk.export_public_jwk(OTHER_KEY.public_key()), "x5c": ["AA=="]}
    token = make_jwt({**HEADER, name: values.get(name, "https://a.example/k")}, {}, OTHER_KEY)
    with pytest.raises(BadSignature):
        verify(token)


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        (r"(?<!Un)(?<!class )VerifiedJwt\(", "protocol/jose.py"),
        (r"(?<!class )DpopProof\(", "protocol/dpop.py"),
        (r"(?<!class )\bKeyProof\(", "protocol/key_proof.py"),
        (r"(?<!class )VerifiedCredential\(", "formats/sd_jwt_vc_verification.py"),
        (r"(?<!class )VerifiedPresentation\(", "formats/sd_jwt_vc_verification.py"),
        (r"(?<!class )IssuerKey\(", "protocol/trust.py"),
    ],
)
def test_what_has_been_verified_is_made_in_one_place(pattern: str, place: str) -> None:
    app = Path(jose.__file__).parent.parent
    makers = [str(path.relative_to(app)) for path in app.rglob("*.py") for _ in re.findall(pattern, path.read_text())]
    assert set(makers) == {place}


@pytest.mark.rule("IS-23")
def test_numbers_that_json_lacks_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        jose.signing_input({}, {"a": float("nan")})
    assert json.loads(jose.json_octets({"a": "é"})) == {"a": "é"}
