"""Counts in Redis, which several processes share."""

import asyncio
import math
from typing import Final

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.adapters.rate_limits import MINUTE, seconds_until_room
from app.ports import Clock

_PATIENCE: Final = 0.2
"""Seconds within which Redis must have answered."""
_CONNECTIONS: Final = 20
_PAUSE: Final = 2
"""Seconds without asking after it did not, so that not every request waits for it."""
_SILENCE: Final = 60
"""Seconds between two records that say so."""


class RedisCounts:
    """The counts of all processes; asked for more than it can answer, it says nothing against a request."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_PATIENCE,
            # Besides the deadline of the whole below: the driver waits in a way that may lose being cancelled (Python
            # 3.11 `asyncio.wait_for`), and then goes by its own patience.
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            # One more try at once, for connections that Redis has closed in the meantime.
            retry=Retry(NoBackoff(), 1),
        )
        self._storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="vestibule",
            connection_pool=self._pool,  # type: ignore[arg-type]  # a documented option that its types leave out
        )
        self._window = SlidingWindowCounterRateLimiter(self._storage)
        self._ask_again_at = -math.inf
        self._say_again_at = -math.inf

    async def seconds_to_wait(self, key: bytes, limit: int) -> int:
        """Count one more and return 0; or return after how many seconds one more would be within the limit."""
        now = self._clock.monotonic()
        if now < self._ask_again_at:
            return 0
        if self._ask_again_at > -math.inf:
            # It did not answer: this request tries again, and no other meanwhile.
            self._ask_again_at = now + _PAUSE
        try:
            async with asyncio.timeout(_PATIENCE):
                seconds = await self._count(key, limit)
        except (RedisError, OSError, TimeoutError) as problem:
            self._pause(problem)
            return 0
        self._ask_again_at = -math.inf
        return seconds

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _count(self, key: bytes, limit: int) -> int:
        item = RateLimitItemPerMinute(limit)
        if await self._window.hit(item, key.hex()):
            return 0
        before, before_ends, now, now_ends = await self._storage.get_sliding_window(item.key_for(key.hex()), MINUTE)
        # The two windows move on together; each is kept for one after its own.
        second = MINUTE - before_ends if before else 2 * MINUTE - now_ends
        return max(1, seconds_until_room(limit, before=before, now=now, second=math.floor(second)))

    def _pause(self, problem: Exception) -> None:
        now = self._clock.monotonic()
        self._ask_again_at = now + _PAUSE
        if now >= self._say_again_at:
            self._say_again_at = now + _SILENCE
            structlog.get_logger("limits").warning(
                "redis does not answer: every process counts requests for itself", problem=type(problem).__name__
            )
