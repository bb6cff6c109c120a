"""Counts requests by a sliding window, in this process and, where one is named, in Redis together with the others.

Redis is never authoritative. Every process counts for itself as well, and its own count refuses even where Redis knows
of nothing: a Redis that is away, empty or wrong opens nothing that this process would not open alone.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from app.ports import Clock, CountedBy, RequestKind, TooManyRequests
from app.protocol.digest import digest
from app.settings import LimitSettings, Settings

if TYPE_CHECKING:
    from app.adapters.redis_counts import RedisCounts

MINUTE: Final = 60


class CountedRateLimits:
    """`RateLimits` by the settings."""

    def __init__(self, limits: LimitSettings, clock: Clock, shared: "RedisCounts | None" = None) -> None:
        self._limits = limits
        self._own = OwnCounts(clock)
        self._shared = shared

    async def count(self, kind: RequestKind, by: CountedBy, *names: str) -> None:
        """Count a request of whom `names` name together. Raises `TooManyRequests`."""
        limit: int = getattr(self._limits, f"{kind}_per_{by}")
        key = count_key(kind, by, *names)
        seconds = self._own.seconds_to_wait(key, limit)
        if not seconds and self._shared is not None:
            seconds = await self._shared.seconds_to_wait(key, limit)
            if seconds:
                self._own.take_back(key)
        if seconds:
            raise TooManyRequests(kind, by, seconds=seconds)

    async def close(self) -> None:
        """Close the connections."""
        if self._shared is not None:
            await self._shared.close()


class NoRateLimits:
    """`RateLimits` that were switched off."""

    async def count(self, kind: RequestKind, by: CountedBy, *names: str) -> None:
        """Let everything pass."""

    async def close(self) -> None:
        """Nothing is open."""


class OwnCounts:
    """This process's counts: two minutes of them, so that they grow no further than what was served meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._counts: dict[bytes, int] = {}
        self._counts_before: dict[bytes, int] = {}

    def seconds_to_wait(self, key: bytes, limit: int) -> int:
        """Count one more and return 0; or return after how many seconds one more would be within the limit."""
        minute, second = divmod(self._clock.now(), MINUTE)
        if minute != self._minute:
            # A clock put back begins anew, like one put forward.
            self._counts_before = self._counts if minute == self._minute + 1 else {}
            self._counts, self._minute = {}, minute
        before, now = self._counts_before.get(key, 0), self._counts.get(key, 0)
        if now < limit and before * (MINUTE - second) <= (limit - now - 1) * MINUTE:
            self._counts[key] = now + 1
            return 0
        return seconds_until_room(limit, before=before, now=now, second=second)

    def take_back(self, key: bytes) -> None:
        """Forget the request that was counted last, because it was refused elsewhere."""
        if self._counts.get(key):
            self._counts[key] -= 1


def seconds_until_room(limit: int, *, before: int, now: int, second: int) -> int:
    """Return the seconds from this second of the minute until one more is within the limit, if no other comes.

    `before` was counted in the minute before, and weighs as much of itself as the last sixty seconds reach into it.
    """
    if now < limit:
        return _second_with_room(before, limit - now) - second
    return MINUTE - second + _second_with_room(now, limit)


def _second_with_room(before: int, room: int) -> int:
    """Return the second of a minute from which the weight of the minute before leaves room for one more."""
    # Rounded up, in whole numbers: a second too early would be refused.
    return max(0, -(MINUTE * (room - 1 - before) // before)) if before else 0


def count_key(kind: RequestKind, by: CountedBy, *names: str) -> bytes:
    """Return the key of a count: no names, whatever they hold, share the key of others (M-23)."""
    return digest(msgspec.json.encode([kind, by, *names]))


def make_rate_limits(settings: Settings, clock: Clock) -> CountedRateLimits | NoRateLimits:
    """Return the limits that the settings want; nothing is connected yet."""
    if settings.limits.mode == "off":
        return NoRateLimits()
    if settings.redis.url is None:
        return CountedRateLimits(settings.limits, clock)
    # Loaded only where it is used: it takes a tenth of a second and twenty megabytes.
    from app.adapters.redis_counts import RedisCounts

    return CountedRateLimits(settings.limits, clock, RedisCounts(settings.redis.url.reveal(), clock))
