"""Server nonces that need no store: made and recognised with a key of the tenant's.

A nonce is base64url of version ‖ issue time (6 octets) ‖ random (16 octets) ‖ HMAC-SHA256 over family and all that,
cut to 16 octets. The family keeps the uses apart (DP-30, L-02); the key is the tenant's own, so no tenant takes
another's (M-04). Spending a nonce is the caller's business.
"""

import hashlib
import hmac
from typing import Final, Literal

from app.protocol import base64url

NonceFamily = Literal["dpop_as", "dpop_resource", "c_nonce", "issuer_state"]

RANDOM_LENGTH: Final = 16
_VERSION: Final = b"\x01"
_TIME_LENGTH: Final = 6
_MAC_LENGTH: Final = 16
_TEXT_LENGTH: Final = 52  # base64url of 39 octets
_REPLICA_SKEW: Final = 5
"""Seconds by which the clock of the replica that made a nonce may be ahead of ours."""


def mint_nonce(key: bytes, family: NonceFamily, *, now: int, random: bytes) -> str:
    """Return a nonce of 52 characters; `random` is 16 octets."""
    if len(random) != RANDOM_LENGTH:
        raise ValueError("a nonce takes 16 random octets")
    body = _VERSION + now.to_bytes(_TIME_LENGTH, "big") + random
    return base64url.encode(body + _mac(key, family, body))


def issued_at(key: bytes, family: NonceFamily, value: str) -> int | None:
    """Return when this tenant made `value` for this family; None for everything else."""
    if len(value) != _TEXT_LENGTH:
        return None
    try:
        octets = base64url.decode(value)
    except ValueError:
        return None
    body, mac = octets[:-_MAC_LENGTH], octets[-_MAC_LENGTH:]
    if not hmac.compare_digest(mac, _mac(key, family, body)) or body[:1] != _VERSION:
        return None
    return int.from_bytes(body[1 : 1 + _TIME_LENGTH], "big")


def is_live(key: bytes, family: NonceFamily, value: str, *, now: int, lifetime: int) -> bool:
    """Whether `value` is a nonce of this tenant and family, younger than `lifetime` seconds."""
    issued = issued_at(key, family, value)
    return issued is not None and -_REPLICA_SKEW <= now - issued < lifetime


def _mac(key: bytes, family: NonceFamily, body: bytes) -> bytes:
    # The family's name has no zero octet, so family and body cannot run into each other.
    return hmac.digest(key, family.encode("ascii") + b"\x00" + body, hashlib.sha256)[:_MAC_LENGTH]
