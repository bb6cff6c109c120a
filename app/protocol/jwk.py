"""Public EC keys as JWK (RFC 7517, RFC 7518 §6.2) and their thumbprints (RFC 7638)."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from app.protocol import base64url
from app.protocol.jose import ALGORITHMS
from app.protocol.strict_json import Malformed

SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
"""RFC 7518 §6.2.2, §6.3.2, §6.4; `priv` is the secret of AKP keys."""

_UNCOMPRESSED: Final = b"\x04"
"""SEC 1 §2.3.3: what stands before both coordinates of a point."""

# RFC 7638 §3.2
_THUMBPRINT_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}


def import_public_jwk(jwk: Mapping[str, Any], *, algorithm: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a public EC JWK that fits the JWS `algorithm` (a name of `ALGORITHMS`).

    Raises `Malformed` for every other key: another type or curve, secret members, coordinates of another length
    than the curve's, a point off the curve, `alg`, `use` or `key_ops` that forbid verifying with it.
    """
    expected = ALGORITHMS.get(algorithm)
    if expected is None:
        raise Malformed("JWS algorithm not supported")
    if SECRET_MEMBERS & jwk.keys():
        raise Malformed("JWK with secret members")
    if jwk.get("kty") != "EC" or jwk.get("crv") != expected.crv:
        raise Malformed("JWK does not fit the algorithm")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise Malformed("JWK is for another use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise Malformed("JWK is for another use")
    x, y = jwk.get("x"), jwk.get("y")
    if not isinstance(x, str) or not isinstance(y, str):
        raise Malformed("JWK coordinate missing")
    return _public_key(algorithm, x, y)


@lru_cache(maxsize=1024)
def _public_key(algorithm: str, x: str, y: str) -> ec.EllipticCurvePublicKey:
    # Remembered, because a wallet proves its key with every request. What is refused is not.
    # RFC 7518 §6.2.1.2: the octets are those of the full size of a coordinate; the point must be on the curve, or
    # the arithmetic is not that of the curve.
    expected = ALGORITHMS[algorithm]
    point = _UNCOMPRESSED + _coordinate(x, expected.width) + _coordinate(y, expected.width)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(expected.curve, point)
    except ValueError:
        raise Malformed("JWK is not a point of its curve") from None


def export_public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the public JWK of a key: `kty`, `crv`, `x`, `y`."""
    algorithm = next(entry for entry in ALGORITHMS.values() if entry.curve.name == key.curve.name)
    numbers = key.public_numbers()
    x, y = (base64url.encode(number.to_bytes(algorithm.width, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": algorithm.crv, "x": x, "y": y}


def bare_jwk(jwk: Mapping[str, Any]) -> dict[str, str]:
    """Return `kty`, `crv`, `x` and `y` of a JWK that was imported: what `export_public_jwk` makes of its key.

    They are taken as they are: of what is imported, each has one spelling.
    """
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the base64url SHA-256 thumbprint of a JWK (RFC 7638 §3): 43 characters.

    Raises `Malformed` where a required member is missing or the key type is not known.
    """
    try:
        required = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    except (KeyError, TypeError):
        raise Malformed("JWK without its required members") from None
    return base64url.encode(hashlib.sha256(msgspec.json.encode(required)).digest())


def _coordinate(text: str, width: int) -> bytes:
    try:
        octets = base64url.decode(text)
    except ValueError:
        raise Malformed("JWK coordinate is not base64url") from None
    if len(octets) != width:
        raise Malformed("JWK coordinate of wrong length")
    return octets
