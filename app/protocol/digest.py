"""The digest under which bearer values are stored and looked up."""

import hashlib


def digest(value: str) -> bytes:
    """Return the SHA-256 of `value` in UTF-8: 32 octets."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
