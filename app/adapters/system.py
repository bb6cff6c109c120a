"""The real clock and real randomness: the only module that may touch them."""

import secrets
import time


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> int:
        """Return whole seconds since 1970-01-01 UTC."""
        return int(time.time())

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, for measuring durations."""
        return time.perf_counter()


class SystemEntropy:
    """`Entropy` of the operating system."""

    def octets(self, count: int) -> bytes:
        """Return random octets."""
        return secrets.token_bytes(count)

    def token(self) -> str:
        """Return a bearer value: 256 bits, base64url, 43 characters."""
        return secrets.token_urlsafe(32)

    def identifier(self) -> str:
        """Return an identifier for a row: 128 bits, hexadecimal."""
        return secrets.token_hex(16)
