"""DPoP proofs (RFC 9449 §4.3): a key shows that it takes part in this very request."""

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from app.protocol import base64url, claims, jose, jwk
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.protocol.strict_json import Malformed

ALGORITHMS: Final = tuple(jose.ALGORITHMS)
"""What `dpop_signing_alg_values_supported` says."""

CLAIMS: Final = claims.ClaimTable(
    # RFC 9449 §4.2; DP-13: a huge `jti` is refused.
    required={
        "jti": claims.text(max_length=256),
        "htm": claims.text(max_length=32),
        "htu": claims.text(max_length=4096),
        "iat": claims.numeric_date,
    },
    optional={
        "ath": claims.text(max_length=128),
        "nonce": claims.text(max_length=1024),
        "exp": claims.numeric_date,
        "nbf": claims.numeric_date,
    },
    ignored=frozenset({"iss", "sub", "aud"}),
)

_JTI_LIFETIME: Final = 300 + 120
"""How long a `jti` is kept: the longest life of a nonce and two minutes, which outlives every `iat` window below."""


class DpopProof(Struct, frozen=True):
    """A DPoP proof that is right for this request; only `judge_dpop_proof` makes one.

    The caller spends the `jti`, per key, in the transaction of what the proof is good for (D-01).
    """

    jkt: str
    """Thumbprint of the key (RFC 9449 §6.1)."""
    jti: str
    jti_expires_at: int
    """When the proof can no longer be accepted again."""


def judge_dpop_proof(
    token: str,
    *,
    expected_method: str,
    expected_url: str,
    expected_access_token: str | None = None,
    live_nonce: Callable[[str], bool] | None,
    now: int,
) -> DpopProof:
    """Judge the value of a `DPoP` header by RFC 9449 §4.3.

    `expected_url` is the endpoint's URL as configured, never as derived from the request (DP-11, D-02).
    `expected_access_token` is given at resources. `live_nonce` says whether a nonce is one of ours and alive; None
    where the tenant uses none. Raises `Refusal` `invalid_dpop_proof`, or `use_dpop_nonce` if the nonce is all that
    is wrong; nothing has been spent then.
    """
    # Item 1 (DP-01, D-04): one header is for the edge to see; two joined by a comma are no JWT.
    # Items 2, 3, 5, 6, 7
    payload, jkt = _verify(token)
    try:
        # Item 3 (DP-03): the claims of §4.2.
        claims.judge_shape(payload, CLAIMS)
        # Item 11 (DP-12, D-05): `iat` in a window, wider where a nonce bounds the proof's age as well (§11.1).
        if live_nonce is None:
            claims.judge_times(payload, now=now, max_age=120, max_ahead=30)
        else:
            claims.judge_times(payload, now=now, max_age=300)
    except Malformed as problem:
        raise _refused(f"The DPoP proof is not acceptable: {problem}.") from None
    # Item 8 (DP-08, D-03)
    if payload["htm"] != expected_method:
        raise _refused("The DPoP proof is for another method.")
    # Item 9 (DP-09, DP-10, DP-11, D-02, D-03)
    if not _is_ours(payload["htu"], expected_url):
        raise _refused("The DPoP proof is for another URL.")
    # Item 12 (DP-22, D-06): at a resource, the hash of the access token.
    if expected_access_token is not None:
        ath = base64url.encode(digest(expected_access_token))
        if not hmac.compare_digest(_octets(payload.get("ath", "")), ath.encode()):
            raise _refused("The DPoP proof is for another access token.")
    # Item 10 (DP-26, DP-28, DP-29, DP-30, D-09); last, so that a retry with a nonce is worth it.
    if live_nonce is not None and not ("nonce" in payload and live_nonce(payload["nonce"])):
        raise Refusal("use_dpop_nonce", "The DPoP proof needs a current nonce.")
    return DpopProof(jkt=jkt, jti=payload["jti"], jti_expires_at=now + _JTI_LIFETIME)


def _verify(token: str) -> tuple[dict[str, Any], str]:
    try:
        unverified = jose.parse_jwt(token)
        # Item 4 (DP-04, G-14)
        if unverified.header.get("typ") != "dpop+jwt":
            raise _refused("The DPoP proof is not of type dpop+jwt.")
        header_jwk = unverified.header.get("jwk")
        if not isinstance(header_jwk, dict):
            raise _refused("The DPoP proof has no jwk header.")
        # Items 5, 7 (DP-05, DP-07, D-07): an algorithm of ours, its key public and on its curve.
        key = jwk.import_public_jwk(header_jwk, algorithm=unverified.algorithm)
        # Item 6 (DP-06)
        verified = jose.verify_jwt(unverified, key, algorithms=ALGORITHMS)
    except Malformed as problem:
        raise _refused(f"The DPoP proof is malformed: {problem}.") from None
    except jose.BadSignature:
        raise _refused("The DPoP proof is not signed by its key.") from None
    return verified.payload, jwk.thumbprint(header_jwk)


# RFC 3986 §3 without user information, ASCII only: nothing in it has two readings.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/(?:[a-z0-9._~!$&'()*+,;=:@/-]|%[0-9a-f]{2})*)?)"
    r"(?:\?[^#\x00-\x20\x7f]*)?(?:#[^\x00-\x20\x7f]*)?",
    re.ASCII | re.IGNORECASE,
)
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


def normal_url(url: str) -> tuple[str, str, int, str] | None:
    """Return scheme, host, port and path of an http(s) URL in normal form; None for what is not one.

    RFC 9449 §4.3 asks for RFC 3986 §6.2.2 and §6.2.3: case of scheme, host and percent-encoding, unreserved
    characters decoded, default port, empty path. Query and fragment do not count. Dot segments stay: no URL of ours
    has any, so a URL with them is never ours (D-03).
    """
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _DEFAULT_PORT[scheme]
    path = re.sub(r"%[0-9A-Fa-f]{2}", _normal_percent, match["path"]) or "/"
    return scheme, match["host"].lower(), port, path


def _normal_percent(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


_normal_url_of_ours: Final = lru_cache(maxsize=1024)(normal_url)
"""Remembered, because every proof is compared with one of them."""


def _is_ours(sent: str, ours: str) -> bool:
    expected = _normal_url_of_ours(ours)
    return expected is not None and (sent == ours or normal_url(sent) == expected)


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "replace")


def _refused(public: str) -> Refusal:
    return Refusal("invalid_dpop_proof", public)
