"""The way to PostgreSQL is slow, lets nothing pass, or breaks behind a COMMIT: the wallet is told what is what."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.crashes.faults import assert_told
from tests.crashes.relay import Relay, relayed
from tests.crashes.stage import WRITES, Send, Stage, half_done, rows
from tests.support.campus import campus
from tests.support.raw_wallet import error_of
from tests.support.served import migrated_database
from tests.support.server import free_port, running_server, settings_for

pytestmark = [pytest.mark.crash, pytest.mark.postgres]


@pytest.fixture(scope="module")
def relay_and_stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Relay, Stage]]:
    """What lies before PostgreSQL, and who calls the service behind it."""
    folder: Path = tmp_path_factory.mktemp("relayed")
    with ExitStack() as stack:
        relay = stack.enter_context(relayed(stack.enter_context(migrated_database(request, "postgresql", folder))))
        settings = settings_for(relay.url, folder, port=free_port())
        yield relay, Stage(stack.enter_context(running_server(settings, campus())), stack)


@pytest.fixture
def relay(relay_and_stage: tuple[Relay, Stage]) -> Relay:
    return relay_and_stage[0]


@pytest.fixture
def stage(relay_and_stage: tuple[Relay, Stage]) -> Stage:
    return relay_and_stage[1]


def test_a_slow_database_makes_slow_answers(relay: Relay, stage: Stage) -> None:
    relay.delay = 0.01
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(stage.issue) for _ in range(6)]:
                done.result()
        assert time.monotonic() - started > 0.5
    finally:
        relay.delay = 0.0


@pytest.mark.rule("N-01", "N-06")
def test_a_database_that_does_not_answer(relay: Relay, stage: Stage) -> None:
    """Every request that changes something, and more at once than there are connections."""
    sends = [request_of(stage) for request_of in WRITES]
    before = rows(stage.server)
    with ThreadPoolExecutor(len(sends)) as pool:
        with relay.closed():
            started = time.monotonic()
            sent = [pool.submit(send) for send in sends]
            assert httpx2.get(f"{stage.server.url}/healthz").status_code == 200
            assert httpx2.get(f"{stage.server.url}/readyz", timeout=20).status_code == 503
            for done in sent:
                assert_told(done.result(), 503)
            assert time.monotonic() - started < 25
        assert rows(stage.server) == before
    assert half_done(stage.server) == []
    for send, writes in zip(sends, WRITES.values(), strict=True):
        assert error_of(send()) == writes[0][0]
    stage.issue()


def test_a_server_says_goodbye_and_has_not_hung_up_yet(relay: Relay, stage: Stage) -> None:
    stage.issue()
    send = stage.push()
    relay.say_goodbye()
    time.sleep(0.2)
    answers = [send() for _ in range(30)]  # more than the pool has connections
    told = [answer for answer in answers if answer.status_code != 201]
    assert 0 < len(told) < 20
    for answer in told:
        assert_told(answer, 503)


@pytest.mark.rule("N-01", "N-03")
@pytest.mark.parametrize("request_of", WRITES, ids=lambda request: request.__name__)
def test_a_connection_breaks_behind_a_commit(relay: Relay, stage: Stage, request_of: Callable[[Stage], Send]) -> None:
    for number, (_, committed) in enumerate(WRITES[request_of], start=1):
        send = request_of(stage)
        relay.break_after_commit(number)
        assert_told(send(), 503)
        assert relay.has_broken
        assert half_done(stage.server) == []
        assert error_of(send()) == committed, number
        assert half_done(stage.server) == []
    stage.issue()
    send = request_of(stage)
    relay.break_after_commit(len(WRITES[request_of]) + 1)
    assert error_of(send()) == WRITES[request_of][0][0]
    assert not relay.has_broken
    relay.break_after_commit(0)
