"""The service is killed around every write of every request that changes something; then it is started again."""

from collections.abc import Callable

import httpx2
import pytest

from app.adapters.db.migrate import check
from tests.crashes.stage import SESSION_ERROR, WRITES, Send, Stage, half_done, rows, stuck
from tests.support.crashing import CrashingServer, Moment
from tests.support.raw_wallet import error_of
from tests.support.server import run_apart

pytestmark = pytest.mark.crash

Crashing = tuple[CrashingServer, Stage]


@pytest.mark.rule("N-01", "N-03")
@pytest.mark.parametrize("request_of", WRITES, ids=lambda request: request.__name__)
def test_a_service_that_is_killed(crashing: Crashing, request_of: Callable[[Stage], Send]) -> None:
    server, stage = crashing
    for number, (uncommitted, committed) in enumerate(WRITES[request_of], start=1):
        for moment in Moment:
            send = request_of(stage)
            before = rows(server)
            assert server.dies_in(send, number, moment), (number, moment)
            assert half_done(server) == []
            if number == 1 and moment is not Moment.AFTER:
                assert rows(server) == before
            again = send()
            assert error_of(again) == (committed if moment is Moment.AFTER else uncommitted), (number, moment)
            assert half_done(server) == []
            # Whoever cannot go on begins anew.
            assert error_of(request_of(stage)()) == WRITES[request_of][0][0]
    stage.issue()
    assert not server.dies_in(request_of(stage), len(WRITES[request_of]) + 1, Moment.BEFORE)
    assert server.trap.writes == len(WRITES[request_of])
    assert run_apart(check(server.settings.database_url)) == []
    assert stuck(server) == {}


@pytest.mark.rule("D-01")
def test_a_proof_stays_spent(crashing: Crashing) -> None:
    server, stage = crashing
    wallet = stage.pid_wallet()
    assert wallet.push().status_code == 201
    proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])

    def send() -> httpx2.Response:
        return wallet.push(dpop=proof)

    assert server.dies_in(send, 1, Moment.INSIDE)
    assert server.dies_in(send, 1, Moment.AFTER)
    assert error_of(send()) == (400, "invalid_dpop_proof")


@pytest.mark.rule("B-01")
def test_an_answer_that_nobody_got_is_told_once(crashing: Crashing) -> None:
    server, stage = crashing
    wallet = stage.wallet()
    asked = wallet.begin()
    shown = wallet.present(asked, stage.erika.pid)
    assert server.dies_in(lambda: wallet.respond(asked, shown), 2, Moment.AFTER)
    code = wallet.respond(asked, shown).json()["code"]
    assert error_of(wallet.respond(asked, shown)) == SESSION_ERROR
    token = wallet.exchange(code)
    assert wallet.derived(token.json()["access_token"]).status_code == 200
    assert half_done(server) == []
