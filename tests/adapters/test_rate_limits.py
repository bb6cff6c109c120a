"""Counting requests in this process: how many a sliding minute lets through, and for whom they are counted."""

from typing import get_args

import msgspec
import pytest

from app.adapters.rate_limits import CountedRateLimits, NoRateLimits, OwnCounts, count_key, make_rate_limits
from app.endpoints.limits import address_block
from app.ports import CountedBy, RequestKind, TooManyRequests
from app.settings import LimitSettings, Settings
from tests.support.fakes import FixedClock

MINUTE_BEGINS = 1_900_000_020
KEY, OTHER_KEY = b"key", b"other key"


def counts_at(second: int) -> tuple[OwnCounts, FixedClock]:
    assert MINUTE_BEGINS % 60 == 0
    clock = FixedClock(MINUTE_BEGINS + second)
    return OwnCounts(clock), clock


def served(counts: OwnCounts, limit: int, tries: int = 200) -> int:
    return sum(counts.seconds_to_wait(KEY, limit) == 0 for _ in range(tries))


@pytest.mark.parametrize("second", [0, 1, 30, 59])
@pytest.mark.parametrize("limit", [1, 2, 60])
def test_a_burst_is_served_up_to_the_limit(limit: int, second: int) -> None:
    counts, _ = counts_at(second)
    assert served(counts, limit) == limit
    assert counts.seconds_to_wait(OTHER_KEY, limit) == 0


@pytest.mark.parametrize(
    ("burst_at", "later", "served_then"),
    [
        (59, 1, 0),  # a new minute is no new budget
        (59, 2, 1),
        (59, 31, 30),
        (0, 60, 0),
        (0, 90, 30),
        (0, 119, 59),
        (0, 120, 60),
        (30, 3600, 60),
    ],
)
def test_the_minute_before_weighs_less_by_the_second(burst_at: int, later: int, served_then: int) -> None:
    counts, clock = counts_at(burst_at)
    assert served(counts, 60) == 60
    clock.advance(later)
    assert served(counts, 60) == served_then


@pytest.mark.parametrize("burst_at", [0, 17, 59])
@pytest.mark.parametrize("limit", [1, 2, 7, 60])
def test_one_more_is_served_after_the_seconds_told_and_not_a_second_before(limit: int, burst_at: int) -> None:
    counts, clock = counts_at(burst_at)
    assert served(counts, limit) == limit
    for _ in range(3):
        seconds = counts.seconds_to_wait(KEY, limit)
        assert seconds >= 1
        clock.advance(seconds - 1)
        assert counts.seconds_to_wait(KEY, limit) == 1
        clock.advance(1)
        assert served(counts, limit, tries=1) == 1
        served(counts, limit)


def test_what_was_refused_is_not_counted() -> None:
    counts, clock = counts_at(0)
    served(counts, 5, tries=1000)
    clock.advance(60 + 60 // 5)
    assert counts.seconds_to_wait(KEY, 5) == 0


def test_a_clock_put_back_begins_anew() -> None:
    counts, clock = counts_at(0)
    assert served(counts, 5) == 5
    clock.advance(-600)
    assert served(counts, 5) == 5


@pytest.mark.rule("M-23")
def test_no_two_ways_of_naming_share_a_count() -> None:
    names = ["a", "b", "c", "a:b", "a/b", "b:c", "", "*", "\n", '"', '","', "a\n", "tenant", "A"]
    ways = [(one, other) for one in names for other in names]
    keys = {count_key("starts", "client", *way) for way in ways}
    keys |= {count_key("starts", "tenant", name) for name in names}
    keys |= {count_key("tokens", "tenant", name) for name in names}
    assert len(keys) == len(ways) + 2 * len(names)
    assert {len(key) for key in keys} == {32}


@pytest.mark.rule("O-17")
@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2::5", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::5", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("203.0.113.5.example", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_the_address_is_one_sender(host: str, block: str) -> None:
    assert address_block(host) == block


@pytest.mark.parametrize("setting", [name for name in LimitSettings.__struct_fields__ if name != "mode"])
async def test_every_setting_limits_what_its_name_says(setting: str) -> None:
    kind, _, by = setting.partition("_per_")
    assert kind in get_args(RequestKind)
    assert by in get_args(CountedBy)
    limits = CountedRateLimits(msgspec.convert({setting: 2}, LimitSettings), FixedClock())
    for _ in range(2):
        await limits.count(kind, by, "tenant", "one")  # type: ignore[arg-type]  # both were looked up above
    with pytest.raises(TooManyRequests, match=f"^{kind} per {by}$"):
        await limits.count(kind, by, "tenant", "one")  # type: ignore[arg-type]  # any of the kinds
    await limits.count(kind, by, "tenant", "another")  # type: ignore[arg-type]  # any of the kinds


async def test_switched_off_nothing_is_refused() -> None:
    limits = make_rate_limits(Settings(limits=LimitSettings(mode="off", starts_per_address=1)), FixedClock())
    assert isinstance(limits, NoRateLimits)
    for _ in range(3):
        await limits.count("starts", "address", "203.0.113.5")
