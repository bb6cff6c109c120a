"""Whatever happens to the database: an error with a request id, nothing stored, and no restart needed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.crashes.faults import assert_told, is_sqlite, locked, raising, refusing_commits, terminate
from tests.crashes.stage import Send, Stage, half_done, rows
from tests.support.campus import campus
from tests.support.database import KINDS
from tests.support.fakes import RunningClock
from tests.support.raw_wallet import error_of
from tests.support.served import serving
from tests.support.server import free_port, serving_process

pytestmark = pytest.mark.crash

REQUESTS: dict[Callable[[Stage], Send], int] = {
    Stage.push: 201,
    Stage.initial_request: 200,
    Stage.last_presentation: 200,
    Stage.presentation_before_pages: 200,
    Stage.last_page: 303,
    Stage.last_page_of_a_leg: 303,
    Stage.refuse: 303,
    Stage.exchange: 200,
    Stage.credential: 200,
}
"""Requests that are told of in the audit trail with their last write, and their status when all is well."""


@pytest.fixture(scope="module", params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Who calls a service on either database."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("faults")
        yield Stage(stack.enter_context(serving(request, request.param, folder, *campus())), stack)


@pytest.fixture
def postgres_stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Who calls a service on PostgreSQL, whose connections may be broken."""
    with ExitStack() as stack:
        yield Stage(stack.enter_context(serving(request, "postgresql", tmp_path, *campus())), stack)


@pytest.mark.rule("N-01", "N-06", "N-07")
@pytest.mark.parametrize("request_of", REQUESTS, ids=lambda request: request.__name__)
def test_a_commit_is_refused(stage: Stage, request_of: Callable[[Stage], Send]) -> None:
    send = request_of(stage)
    before = rows(stage.server)
    with refusing_commits(stage.server):
        assert_told(send(), *((500,) if is_sqlite(stage.server) else (503,)))
        # A claim is told to nobody and commits before what is refused; of all the rest nothing is there.
        after = rows(stage.server)
        assert {name for name in after if after[name] != before[name]} <= {"spent_values"}
        assert half_done(stage.server) == []
    again = send()
    if after == before:
        assert again.status_code == REQUESTS[request_of]
    else:
        assert error_of(again) == (400, "invalid_request")
    assert request_of(stage)().status_code == REQUESTS[request_of]
    assert half_done(stage.server) == []
    stage.issue()


def test_a_lock_that_is_not_given_back(stage: Stage) -> None:
    """On PostgreSQL with more requests than connections, so that some wait for one of those."""
    sends = [stage.push() for _ in range(1 if is_sqlite(stage.server) else 14)]
    before = rows(stage.server)
    with ThreadPoolExecutor(len(sends)) as pool:
        with locked(stage.server):
            answers = list(pool.map(lambda send: send(), sends))
            for answer in answers:
                assert_told(answer, 503)
        assert rows(stage.server) == before
        assert [send().status_code for send in sends] == [201] * len(sends)
    stage.issue()


@pytest.mark.rule("N-14")
def test_a_wallet_that_hangs_up_gets_its_answer_later(stage: Stage) -> None:
    wallet = stage.wallet()
    asked = wallet.begin()
    shown = wallet.present(asked, stage.erika.pid)
    before = rows(stage.server)["authorization_codes"]
    with locked(stage.server):
        wallet.http.timeout = httpx2.Timeout(0.3)
        with pytest.raises(httpx2.ReadTimeout):
            wallet.respond(asked, shown)
    wallet.http.timeout = httpx2.Timeout(30)
    deadline = time.monotonic() + 5
    while rows(stage.server)["authorization_codes"] == before:
        assert time.monotonic() < deadline, "nobody judged what was sent"
    answer = wallet.respond(asked, shown)
    assert rows(stage.server)["authorization_codes"] == before + 1
    assert wallet.exchange(answer.json()["code"]).status_code == 200
    assert error_of(wallet.respond(asked, shown)) == (400, "invalid_request")


@pytest.mark.rule("N-13")
def test_a_process_that_is_told_to_stop_answers_first(stage: Stage) -> None:
    with (
        serving_process(stage.server.settings, port=free_port()) as (origin, process_id),
        ThreadPoolExecutor(1) as pool,
        replace(stage.pid_wallet(), sent_to=origin, clock=RunningClock(), nonces={}) as wallet,
    ):
        assert wallet.push().status_code == 201
        before = rows(stage.server)["sessions"]
        with locked(stage.server):
            sent = pool.submit(wallet.push)
            time.sleep(0.5)
            os.kill(process_id, signal.SIGTERM)
            time.sleep(0.5)
            assert not sent.done()
        assert sent.result().status_code == 201
        assert rows(stage.server)["sessions"] == before + 1
        with pytest.raises(httpx2.TransportError):
            wallet.push()


@pytest.mark.postgres
@pytest.mark.rule("N-01", "N-03")
@pytest.mark.parametrize(
    "request_of", [Stage.push, Stage.last_presentation, Stage.exchange, Stage.credential], ids=lambda one: one.__name__
)
def test_a_connection_breaks_within_a_transaction(postgres_stage: Stage, request_of: Callable[[Stage], Send]) -> None:
    stage = postgres_stage
    send = request_of(stage)
    before = rows(stage.server)
    with ThreadPoolExecutor(1) as pool, locked(stage.server):
        sent = pool.submit(send)
        deadline = time.monotonic() + 4
        while not terminate(stage.server, waiting=True):
            assert time.monotonic() < deadline, "nothing waits for the lock"
        assert_told(sent.result(), 503)
    assert rows(stage.server) == before
    assert send().status_code == REQUESTS[request_of]
    assert half_done(stage.server) == []


@pytest.mark.postgres
def test_connections_that_broke_meanwhile_are_replaced(postgres_stage: Stage) -> None:
    stage = postgres_stage
    stage.issue()
    send = stage.push()
    assert terminate(stage.server, waiting=False)
    time.sleep(0.5)  # PostgreSQL hangs up a moment after it has said so
    # They are known to have broken before one of them is used.
    assert send().status_code == 201
    stage.issue()


@pytest.mark.postgres
@pytest.mark.rule("N-06")
def test_postgresql_has_no_room(postgres_stage: Stage) -> None:
    stage = postgres_stage
    send = stage.credential()
    before = rows(stage.server)
    with raising(stage.server, "53100", deferred=False):
        assert_told(send(), 503)
        assert rows(stage.server) == before
    assert send().status_code == 200
