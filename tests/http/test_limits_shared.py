"""Rate limits of several processes that count in one Redis, and what is left when it goes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from app.adapters import redis_counts
from app.settings import LimitSettings, RedisSettings, Secret
from tests.http.state import nothing_stored
from tests.support.documents import document
from tests.support.fakes import RunningClock
from tests.support.limited import limited_server
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.redis import WAYS_TO_FAIL, RedisServer
from tests.support.served import migrated_database, query
from tests.support.server import RunningServer, free_port, running_server, second_process, settings_for

pytestmark = pytest.mark.redis

REQUESTS = 40
FAILING = pytest.mark.parametrize("way", WAYS_TO_FAIL)


@pytest.fixture
def two(tmp_path: Path, own_redis: RedisServer) -> Iterator[tuple[RunningServer, RawWallet, RawWallet]]:
    """A service and a wallet at each of its two processes, which stand behind one public URL."""
    with (
        limited_server(tmp_path, LimitSettings(starts_per_client=6), proxies=(), redis_url=own_redis.url) as first,
        second_process(first) as (_, origin),
        first.wallet() as one,
        first.wallet() as other,
    ):
        other.sent_to = origin
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


@pytest.mark.postgres
@pytest.mark.rule("N-11")
def test_who_waits_for_redis_holds_no_transaction(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_redis: RedisServer
) -> None:
    """Four times as many requests as there are connections wait for a Redis that hangs; all are served."""
    holding = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vestibule' AND datname = current_database()"
        " AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '0.2 s'"
    )
    # Long enough to look at the database meanwhile.
    monkeypatch.setattr(redis_counts, "_PATIENCE", 2)
    with migrated_database(request, "postgresql", tmp_path) as url:
        settings = msgspec.structs.replace(
            settings_for(url, tmp_path, port=free_port()),
            redis=RedisSettings(url=Secret(own_redis.url)),
            limits=LimitSettings(),
        )
        with (
            running_server(settings, [document()], clock=RunningClock()) as server,
            server.wallet() as wallet,
            ThreadPoolExecutor(REQUESTS) as pool,
        ):
            assert wallet.push(dpop=False).status_code == 201
            own_redis.freeze()
            sent = [pool.submit(wallet.push, dpop=False) for _ in range(REQUESTS)]
            held = []
            while not all(each.done() for each in sent):
                held.append(query(server, holding)[0][0])
            own_redis.thaw()
            assert {each.result().status_code for each in sent} == {201}
    assert len(held) > 3
    assert set(held) == {0}
