"""The digest under which bearer values are stored and looked up."""

import hashlib


def digest(value: str | bytes) -> bytes:
    """Return the SHA-256 of octets, or of a text in UTF-8: 32 octets."""
    return hashlib.sha256(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")).digest()
