"""Base64url without padding (RFC 7515 §2), strict: one octet sequence has exactly one spelling."""

import binascii
from typing import Final

_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""To the standard alphabet; what that has and base64url has not, is in neither afterwards."""
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
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
    in_last_group = len(text) % 4
    if in_last_group and text[-1] not in _LAST_CHARACTERS.get(in_last_group, ""):
        raise ValueError("not canonical base64url")
    standard = text.encode("ascii", "replace").translate(_TO_STANDARD)
    try:
        return binascii.a2b_base64(standard + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise ValueError("not base64url") from None
