"""Compact JWS with ECDSA (RFC 7515 §7.1, RFC 7518 §3.4): one small verifier with a fixed list of algorithms.

Nothing in a header is dereferenced: `kid`, `jku`, `x5u` and their kin are plain members that a caller may read.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec import Struct

from app.protocol import base64url, strict_json
from app.protocol.strict_json import Malformed as Malformed


class Algorithm(Struct, frozen=True):
    """One JWS algorithm: its curve, how it signs, the octets of r and of s (RFC 7518 §3.4)."""

    crv: str
    curve: ec.EllipticCurve
    ecdsa: ec.ECDSA
    """With the algorithm's hash."""
    width: int


ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "ES256": Algorithm("P-256", ec.SECP256R1(), ec.ECDSA(hashes.SHA256()), 32),
    "ES384": Algorithm("P-384", ec.SECP384R1(), ec.ECDSA(hashes.SHA384()), 48),
    "ES512": Algorithm("P-521", ec.SECP521R1(), ec.ECDSA(hashes.SHA512()), 66),
}


_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class BadSignature(ValueError):
    """The signature does not verify with the key."""


class UnverifiedJwt(Struct, frozen=True):
    """A well-formed compact JWT of which nothing is known to be true."""

    header: dict[str, Any]
    payload: dict[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The `alg` of the header."""
        return str(self.header["alg"])


class VerifiedJwt(Struct, frozen=True):
    """A JWT whose signature has been verified; only `verify_jwt` makes one."""

    header: dict[str, Any]
    payload: dict[str, Any]


def parse_jwt(token: str, *, max_length: int = 8192) -> UnverifiedJwt:
    """Read a compact JWT.

    Raises `Malformed` for anything else: length before all, then three segments of canonical base64url, strict JSON
    objects as header and payload, `alg` a string, no `crit` and no `b64`.
    """
    if len(token) > max_length:
        raise Malformed("JWT too long")
    segments = token.split(".")
    if len(segments) != 3:
        raise Malformed("not a compact JWT")
    try:
        header_octets, payload_octets, signature = (base64url.decode(segment) for segment in segments)
    except ValueError:
        raise Malformed("JWT segment is not base64url") from None
    header = strict_json.parse_object(header_octets)
    payload = strict_json.parse_object(payload_octets)
    # RFC 7515 §4.1.11: an extension named in `crit` must be understood. None is; `b64` (RFC 7797) may not occur
    # without `crit` and changes what is signed.
    if "crit" in header or "b64" in header:
        raise Malformed("JWT header has a critical extension")
    if not isinstance(header.get("alg"), str):
        raise Malformed("JWT header without alg")
    return UnverifiedJwt(header, payload, f"{segments[0]}.{segments[1]}".encode("ascii"), signature)


def verify_jwt(
    unverified: UnverifiedJwt, key: ec.EllipticCurvePublicKey, *, algorithms: Collection[str]
) -> VerifiedJwt:
    """Verify the signature with `key` under one of `algorithms` (names of `ALGORITHMS`).

    Raises `Malformed` where the algorithm is not on the list or the key is not of its curve, `BadSignature` where
    the signature does not verify.
    """
    name = unverified.algorithm
    algorithm = ALGORITHMS.get(name)
    if algorithm is None or name not in algorithms:
        raise Malformed("JWT algorithm not accepted")
    # RFC 8725 §3.1: the key belongs to the algorithm, not to whatever the header says.
    if key.curve.name != algorithm.curve.name:
        raise Malformed("JWT algorithm and key do not match")
    # RFC 7518 §3.4: the signature is r and s, each of the curve's full length; DER is another encoding.
    if len(unverified.signature) != 2 * algorithm.width:
        raise BadSignature("JWT signature of wrong length")
    r, s = _integers(unverified.signature)
    order = algorithm.curve.group_order
    if not (0 < r < order and 0 < s < order):
        raise BadSignature("JWT signature out of range")
    try:
        key.verify(encode_dss_signature(r, s), unverified.signing_input, algorithm.ecdsa)
    except InvalidSignature:
        raise BadSignature("JWT signature does not verify") from None
    return VerifiedJwt(unverified.header, unverified.payload)


def signing_input(header: Mapping[str, Any], payload: Mapping[str, Any]) -> bytes:
    """Return what is signed: the encoded header and payload (RFC 7515 §5.1)."""
    return ".".join(base64url.encode(json_octets(part)) for part in (header, payload)).encode("ascii")


def compact(signed: bytes, signature: bytes) -> str:
    """Return the compact JWT of a signing input and its raw signature."""
    return f"{signed.decode('ascii')}.{base64url.encode(signature)}"


def json_octets(value: Any) -> bytes:
    """Return `value` as compact JSON in UTF-8; raises `ValueError` for numbers that are not finite."""
    return _JSON.encode(value).encode("utf-8")


def raw_signature(der: bytes, *, algorithm: str = "ES256") -> bytes:
    """Return r and s as JWS spells them, from a DER signature."""
    width = ALGORITHMS[algorithm].width
    r, s = decode_dss_signature(der)
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def _integers(raw: bytes) -> tuple[int, int]:
    width = len(raw) // 2
    return int.from_bytes(raw[:width], "big"), int.from_bytes(raw[width:], "big")
