"""Rate limits of several processes that count in one Redis, and what is left when it goes."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.settings import LimitSettings, ServerSettings
from tests.http.state import nothing_stored
from tests.support.limited import limited_server
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.redis import WAYS_TO_FAIL, RedisServer
from tests.support.server import RunningServer, free_port, running_server

pytestmark = pytest.mark.redis

FAILING = pytest.mark.parametrize("way", WAYS_TO_FAIL)


@pytest.fixture
def two(tmp_path: Path, own_redis: RedisServer) -> Iterator[tuple[RunningServer, RawWallet, RawWallet]]:
    """A service and a wallet at each of its two processes, which stand behind one public URL."""
    with limited_server(tmp_path, LimitSettings(starts_per_client=6), proxies=(), redis_url=own_redis.url) as first:
        port = free_port()
        beside = msgspec.structs.replace(first.settings, server=ServerSettings(port=port, graceful_shutdown=2))
        with running_server(beside, [], clock=first.clock), first.wallet() as one, first.wallet() as other:
            other.sent_to = f"http://localhost:{port}"
            yield first, one, other


def statuses(wallet: RawWallet, count: int) -> list[int]:
    return [wallet.push(dpop=False).status_code for _ in range(count)]


@pytest.mark.rule("B-20")
def test_processes_count_together(two: tuple[RunningServer, RawWallet, RawWallet]) -> None:
    server, one, other = two
    assert statuses(one, 4) == [201] * 4
    assert statuses(other, 2) == [201] * 2
    with nothing_stored(server):
        for wallet in (one, other):
            answer = wallet.push(dpop=False)
            assert error_of(answer) == (429, "temporarily_unavailable")
            assert 1 <= int(answer.headers["retry-after"]) <= 120


@pytest.mark.rule("N-02")
@FAILING
def test_without_redis_no_process_serves_more_than_its_own_limit(
    two: tuple[RunningServer, RawWallet, RawWallet], own_redis: RedisServer, way: str
) -> None:
    _, one, other = two
    assert statuses(one, 6) == [201] * 6
    own_redis.fail(way)
    assert statuses(one, 2) == [429] * 2
    assert statuses(other, 8) == [201] * 6 + [429] * 2
    assert one.http.get(f"{one.issuer.rpartition('/')[0]}/readyz").status_code == 200


@pytest.mark.rule("N-02")
@FAILING
def test_what_works_once_works_once_without_redis(
    two: tuple[RunningServer, RawWallet, RawWallet], own_redis: RedisServer, way: str
) -> None:
    _, wallet, other = two
    code = wallet.code()

    def proof() -> str:
        return wallet.dpop("POST", f"{wallet.issuer}/token", nonce=wallet.nonces["as"])

    used = proof()
    assert wallet.exchange(code, dpop=used).status_code == 200
    own_redis.fail(way)
    wallet.sent_to = other.sent_to
    assert error_of(wallet.exchange(code, dpop=used)) == (400, "invalid_dpop_proof")
    assert error_of(wallet.exchange(code, dpop=proof())) == (400, "invalid_grant")
