"""Counting in Redis: several processes share it, and none of them trusts it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from app.adapters.rate_limits import CountedRateLimits, count_key, make_rate_limits
from app.adapters.redis_counts import RedisCounts
from app.ports import TooManyRequests
from app.settings import LimitSettings, RedisSettings, Secret, Settings
from tests.support.fakes import FixedClock, RunningClock
from tests.support.redis import RedisServer, flush, keys

pytestmark = pytest.mark.redis


def process(url: str, *, starts_per_tenant: int) -> CountedRateLimits:
    """Return the limits as one more process has them."""
    settings = Settings(redis=RedisSettings(url=Secret(url)), limits=LimitSettings(starts_per_tenant=starts_per_tenant))
    made = make_rate_limits(settings, RunningClock())
    assert isinstance(made, CountedRateLimits)
    return made


async def served(limits: CountedRateLimits, tries: int, tenant: str = "tenant") -> int:
    count = 0
    for _ in range(tries):
        try:
            await limits.count("starts", "tenant", tenant)
        except TooManyRequests:
            continue
        count += 1
    return count


@pytest.fixture
def url(redis_url: str) -> str:
    flush(redis_url)
    return redis_url


@pytest_asyncio.fixture
async def two(url: str) -> AsyncIterator[tuple[CountedRateLimits, CountedRateLimits]]:
    pair = process(url, starts_per_tenant=10), process(url, starts_per_tenant=10)
    yield pair
    for one in pair:
        await one.close()


async def test_two_processes_count_together(two: tuple[CountedRateLimits, CountedRateLimits]) -> None:
    first, second = two
    assert await served(first, 6) == 6
    assert await served(second, 6) == 4
    assert await served(first, 2) == 0
    assert await served(second, 3, "another") == 3


async def test_what_is_lost_in_redis_opens_no_process_beyond_its_own_limit(
    two: tuple[CountedRateLimits, CountedRateLimits], url: str
) -> None:
    first, second = two
    assert await served(first, 20) == 10
    flush(url)
    assert await served(first, 20) == 0
    assert await served(second, 3) == 3


async def test_what_redis_refused_is_not_counted_by_the_process(
    two: tuple[CountedRateLimits, CountedRateLimits], url: str
) -> None:
    first, second = two
    assert await served(first, 10) == 10
    assert await served(second, 50) == 0
    flush(url)
    assert await served(second, 50) == 10


async def test_one_more_is_served_after_the_seconds_told(url: str) -> None:
    counts = RedisCounts(url, RunningClock())
    key = count_key("starts", "tenant", "t")
    assert [await counts.seconds_to_wait(key, 2) for _ in range(2)] == [0, 0]
    # The window has just begun: one of two leaves thirty seconds into the next.
    assert 85 <= await counts.seconds_to_wait(key, 2) <= 121
    await counts.close()


@pytest.mark.rule("M-23")
async def test_keys_hold_no_text_of_ours_or_anybodys(
    two: tuple[CountedRateLimits, CountedRateLimits], url: str
) -> None:
    for name in ("a:b", "*", "x\r\nFLUSHALL\r\n", "{}", "tenant"):
        await two[0].count("starts", "client", "tenant", name)
        await two[0].count("starts", "tenant", name)
    found = keys(url)
    assert len(found) == 10
    for key in found:
        assert re.fullmatch(rb"vestibule:\{LIMITER/[0-9a-f]{64}/[0-9]+/1/minute\}", key)


async def test_a_stopped_redis_is_gone_on_without_and_said_once(own_redis: RedisServer) -> None:
    clock = FixedClock()
    settings = Settings(redis=RedisSettings(url=Secret(own_redis.url)), limits=LimitSettings(starts_per_tenant=10))
    limits = make_rate_limits(settings, clock)
    assert isinstance(limits, CountedRateLimits)
    assert await served(limits, 4) == 4
    own_redis.stop()
    with capture_logs() as log:
        assert await served(limits, 3) == 3
        clock.advance(10)
        assert await served(limits, 20) == 3
    assert [entry["event"].partition(":")[0] for entry in log] == ["redis does not answer"]
    assert own_redis.url not in str(log)
    with capture_logs() as log:
        clock.advance(51)
        await served(limits, 20, "another")
    assert len(log) == 1
    own_redis.start()
    clock.advance(5)
    assert await served(limits, 1, "third") == 1
    assert len(keys(own_redis.url)) == 1
    await limits.close()


async def test_a_redis_that_hangs_costs_one_request_a_moment(own_redis: RedisServer) -> None:
    limits = process(own_redis.url, starts_per_tenant=100)
    assert await served(limits, 1) == 1
    own_redis.freeze()
    started = time.perf_counter()
    assert await served(limits, 50) == 50
    assert 0.1 < time.perf_counter() - started < 1
    own_redis.thaw()
    await limits.close()


async def test_a_redis_that_hangs_costs_many_at_once_a_moment_too(own_redis: RedisServer) -> None:
    limits = process(own_redis.url, starts_per_tenant=1000)
    assert sum(await asyncio.gather(*(served(limits, 1) for _ in range(20)))) == 20
    own_redis.freeze()
    started = time.perf_counter()
    sent = [asyncio.create_task(served(limits, 1)) for _ in range(40)]
    await asyncio.sleep(0)
    # The loop is late, so that their deadline comes together with the end of their sending.
    time.sleep(0.3)
    assert sum(await asyncio.gather(*sent)) == 40
    assert time.perf_counter() - started < 2
    own_redis.thaw()
    await limits.close()


async def test_a_redis_that_answers_nonsense_is_gone_on_without(own_redis: RedisServer) -> None:
    limits = process(own_redis.url.replace("redis://", "redis://:wrong-password@"), starts_per_tenant=3)
    assert await served(limits, 5) == 3
    await limits.close()
