"""Proof Key for Code Exchange (RFC 7636), method `S256` only."""

import hmac
import re
from typing import Final

from app.protocol import base64url
from app.protocol.digest import digest
from app.protocol.refusal import Refusal

METHODS: Final = ("S256",)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


def check_challenge(challenge: str | None, method: str | None) -> tuple[str, str]:
    """Return challenge and method if they are in order. Raises `Refusal("invalid_request")`."""
    if challenge is None:
        raise Refusal("invalid_request", "code_challenge is required.")
    # RFC 7636 §4.3: an absent method means plain, which is not accepted (AZ-15).
    if method is None or method not in METHODS:
        raise Refusal("invalid_request", "code_challenge_method must be S256.")
    try:
        octets = base64url.decode(challenge)
    except ValueError:
        octets = b""
    # RFC 7636 §4.2: BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))
    if len(octets) != 32:
        raise Refusal("invalid_request", "code_challenge is not a SHA-256 digest in base64url.")
    return challenge, method


def challenge_of(verifier: str) -> str:
    """Return the `S256` challenge of a verifier (RFC 7636 §4.2)."""
    return base64url.encode(digest(verifier))


def is_verifier(text: str) -> bool:
    """Whether a text is a code verifier (RFC 7636 §4.1)."""
    return _VERIFIER.fullmatch(text) is not None


def verifier_matches(verifier: str | None, challenge: str | None) -> bool:
    """Whether `verifier` is well-formed (RFC 7636 §4.1) and the one the challenge was made of (§4.6).

    Without a challenge there must be no verifier: else it was cut out of the request (RFC 9700 §4.8.2, C-14).
    """
    if verifier is None or challenge is None:
        return verifier is challenge
    if not is_verifier(verifier):
        return False
    return hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode())
