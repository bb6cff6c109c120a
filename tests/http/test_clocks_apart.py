"""Two processes whose clocks are two minutes apart: nothing spent comes back, and nothing lives longer than that."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from app.adapters.db.expiry import MARGIN
from app.jobs.schedule import JOBS
from app.main import Service
from tests.support.documents import document
from tests.support.fakes import FixedClock
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer, fresh_server, second_process

pytestmark = pytest.mark.rule("N-08")
STEP = 30


class Apart:
    """Two processes, and a wallet whose clock is that of the one it talks to."""

    def __init__(self, behind: RunningServer, ahead: RunningServer, origin: str) -> None:
        self.behind, self.ahead = behind, ahead
        self.wallet = behind.wallet()
        self.wallet_ahead = replace(self.wallet, clock=ahead.clock, sent_to=origin, nonces={})

    def pass_time(self, seconds: int) -> None:
        """Let time pass; the process that is ahead runs its jobs by its own clock."""
        for server in (self.behind, self.ahead):
            server.clock.advance(seconds)
        self.ahead.beside(_run_jobs)


@contextmanager
def at_the_time_of(other: RunningServer, clock: FixedClock) -> Iterator[None]:
    """Let a process make things as the other would, which stands behind no URL that browsers know."""
    before = clock.seconds
    clock.seconds = other.clock.seconds
    yield
    clock.seconds = before


async def _run_jobs(service: Service) -> int:
    return sum([await job.run(service.platform, service.clock, lambda _: None) for job in JOBS.values()])


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    with fresh_server(tmp_path, [document()]) as behind:
        clock = FixedClock(behind.clock.now() + MARGIN)
        with second_process(behind, clock=clock) as (ahead, origin):
            both = Apart(behind, ahead, origin)
            with both.wallet, both.wallet_ahead:
                yield both


@pytest.mark.rule("N-09")
def test_what_was_spent_at_one_is_spent_at_the_other_as_long_as_it_lives(apart: Apart) -> None:
    wallet = apart.wallet
    c_nonce = wallet.c_nonce()

    def ask() -> httpx2.Response:
        # A token that lives, whatever became of the one before.
        return wallet.credential(wallet.access_token(), {"proofs": {"jwt": [wallet.key_proof(c_nonce)]}})

    assert ask().status_code == 200
    proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])
    assert wallet.push(dpop=proof).status_code == 201
    credentials, pushes = [], []
    # Until both nonces are dead by the clock of the process that made them.
    for _ in range(0, 300 + STEP, STEP):
        apart.pass_time(STEP)
        credentials.append(error_of(ask()))
        pushes.append(error_of(wallet.push(dpop=proof)))
    assert set(credentials) == {(400, "invalid_nonce")}
    assert set(pushes) == {(400, "invalid_dpop_proof"), (400, "use_dpop_nonce")}


def test_what_is_not_spent_dies_at_most_so_much_later(apart: Apart) -> None:
    wallet, clock = apart.wallet, apart.behind.clock
    began = clock.seconds
    with at_the_time_of(apart.ahead, clock):
        code, token = wallet.code(), wallet.access_token()
    made = began + MARGIN
    clock.seconds = made + 60
    assert error_of(wallet.exchange(code)) == (400, "invalid_grant")
    clock.seconds = made + 60 - 1
    assert wallet.exchange(code).status_code == 200

    def ask() -> int:
        return wallet.credential(token, {"proofs": {"jwt": ["x"]}}).status_code

    clock.seconds = made + 300 - 1
    assert ask() == 400
    clock.seconds = made + 300
    assert ask() == 401


def test_once_its_time_has_come_anywhere_a_job_ends_it_everywhere(apart: Apart) -> None:
    code = apart.wallet.code()
    apart.pass_time(0)
    assert error_of(apart.wallet.exchange(code)) == (400, "invalid_grant")


def test_what_one_refuses_as_too_late_is_as_it_was(apart: Apart) -> None:
    code = apart.wallet.code()
    assert error_of(apart.wallet_ahead.exchange(code)) == (400, "invalid_grant")
    assert apart.wallet.exchange(code).status_code == 200


def test_a_nonce_of_the_one_that_is_ahead_is_not_taken_by_the_other(apart: Apart) -> None:
    assert apart.wallet_ahead.push().status_code == 201
    proof = apart.wallet.dpop("POST", f"{apart.wallet.issuer}/par", nonce=apart.wallet_ahead.nonces["as"])
    assert error_of(apart.wallet.push(dpop=proof)) == (400, "use_dpop_nonce")
