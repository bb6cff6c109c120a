"""A clock that stands until it is moved, and randomness that can be foretold."""

import hashlib
import time

from app.protocol import base64url


class FixedClock:
    """`Clock` for tests."""

    def __init__(self, now: int = 1_900_000_000) -> None:
        self.seconds = float(now)

    def now(self) -> int:
        return int(self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class RunningClock(FixedClock):
    """The machine's clock, for a service that others than our wallets talk to."""

    def now(self) -> int:
        return int(time.time())

    def monotonic(self) -> float:
        return time.perf_counter()


class CountedEntropy:
    """`Entropy` for tests: never repeats, and is the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def octets(self, count: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(str(self._count).encode()).digest(count)

    def token(self) -> str:
        return base64url.encode(self.octets(32))

    def identifier(self) -> str:
        return self.octets(16).hex()
