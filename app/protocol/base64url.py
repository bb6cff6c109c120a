"""Base64url without padding (RFC 7515 §2), strict: one octet sequence has exactly one spelling."""

import binascii
import re
from typing import Final

_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")
_LAST_CHARACTERS: Final = {2: "AQgw", 3: "AEIMQUYcgkosw048"}
"""Of a text whose last group of four is that long: the bits left over are zero."""


def encode(octets: bytes) -> str:
    """Return the base64url spelling of `octets`, without padding."""
    return binascii.b2a_base64(octets, newline=False).translate(_FROM_STANDARD).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the octets `text` spells.

    Raises `ValueError` for padding, white space, other alphabets, impossible lengths and left-over bits that are
    not zero (RFC 4648 §3.5): two spellings of one value would defeat digests and replay checks over the text.
    """
    if not _ALPHABET.fullmatch(text):
        raise ValueError("not base64url")
    in_last_group = len(text) % 4
    if in_last_group and text[-1] not in _LAST_CHARACTERS.get(in_last_group, ""):
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(text.encode("ascii").translate(_TO_STANDARD) + b"=" * (-len(text) % 4))
