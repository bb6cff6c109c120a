"""Base64url without padding (RFC 7515 §2), strict: one octet sequence has exactly one spelling."""

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


def encode(octets: bytes) -> str:
    """Return the base64url spelling of `octets`, without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the octets `text` spells.

    Raises `ValueError` for padding, white space, other alphabets, impossible lengths and left-over bits that are
    not zero (RFC 4648 §3.5): two spellings of one value would defeat digests and replay checks over the text.
    """
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(octets) != text:
        raise ValueError("not canonical base64url")
    return octets
