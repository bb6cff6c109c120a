from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import jwk
from app.protocol.strict_json import Malformed
from tests.protocol.jwts import (
    KEY,
    KEY_384,
    KEY_521,
    algorithm,
    b64,
    public_jwk,
    read_json_vector,
    read_vector,
)

PUBLIC = public_jwk(KEY)
SMALL = ec.derive_private_key(1, ec.SECP256R1())


@pytest.mark.parametrize("key", [KEY, KEY_384, KEY_521], ids=algorithm)
def test_public_keys_go_in_and_out(key: ec.EllipticCurvePrivateKey) -> None:
    imported = jwk.import_public_jwk(public_jwk(key), algorithm=algorithm(key))
    assert imported.public_numbers() == key.public_key().public_numbers()
    assert jwk.export_public_jwk(imported) == public_jwk(key)
    assert jwk.bare_jwk({**public_jwk(key), "kid": "1"}) == public_jwk(key)


def test_members_that_agree_or_say_nothing_are_taken() -> None:
    full = {**PUBLIC, "alg": "ES256", "use": "sig", "key_ops": ["verify"], "kid": "1", "x5t": "…"}
    assert jwk.import_public_jwk(full, algorithm="ES256") == KEY.public_key()


@pytest.mark.rule("E-13")
@pytest.mark.parametrize(
    "change",
    [
        {"d": b64(b"\x01" * 32)},
        {"k": "AA"},
        {"p": "AA"},
        {"priv": "AA"},
        {"d": None},
        {"kty": "oct"},
        {"kty": "RSA"},
        {"kty": ["EC"]},
        {"kty": None},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": "p-256"},
        {"crv": None},
        {"x": None},
        {"x": 1},
        {"x": ""},
        {"x": PUBLIC["x"] + "="},
        {"x": "AA" + PUBLIC["x"]},
        {"x": PUBLIC["x"][:-2]},
        {"y": PUBLIC["x"]},
        {"x": b64(b"\x00" * 32), "y": b64(b"\x00" * 32)},
        {"x": b64(b"\xff" * 32)},
        {"alg": "ES384"},
        {"alg": None},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": []},
    ],
    ids=str,
)
def test_every_other_key_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        jwk.import_public_jwk({**PUBLIC, **change}, algorithm="ES256")


@pytest.mark.parametrize("name", ["HS256", "none", "RS256"])
def test_only_our_algorithms_have_keys(name: str) -> None:
    with pytest.raises(Malformed):
        jwk.import_public_jwk(PUBLIC, algorithm=name)


def test_leading_zero_octets_are_kept() -> None:
    """A coordinate with its leading zeros cut off is another spelling of the same key."""
    key = next(
        key
        for key in (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in range(1, 2000))
        if key.public_key().public_numbers().x >> 248 == 0
    )
    assert jwk.import_public_jwk(public_jwk(key), algorithm="ES256") == key.public_key()
    short = {**public_jwk(key), "x": b64(key.public_key().public_numbers().x.to_bytes(31, "big"))}
    with pytest.raises(Malformed, match="length"):
        jwk.import_public_jwk(short, algorithm="ES256")


def test_thumbprints_of_the_rfcs() -> None:
    assert jwk.thumbprint(read_json_vector("rfc7638/rsa/jwk.json")) == read_vector("rfc7638/rsa/thumbprint.txt")


def test_a_thumbprint_is_of_the_required_members_only() -> None:
    assert jwk.thumbprint({**PUBLIC, "kid": "1", "alg": "ES256"}) == jwk.thumbprint(dict(reversed(PUBLIC.items())))
    assert jwk.thumbprint(PUBLIC) != jwk.thumbprint(public_jwk(SMALL))


@pytest.mark.parametrize("value", [{}, {"kty": "EC"}, {"kty": "oct", "k": "AA"}, {"kty": []}])
def test_what_has_no_thumbprint_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        jwk.thumbprint(value)
