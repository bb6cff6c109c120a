"""Two processes on one database: what has ended at one has ended at the other, whatever that has in memory."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import update

from app.adapters.db.tables import tenants
from app.provisioning import delete_tenant
from tests.support.documents import PID, document
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.served import change
from tests.support.server import RunningServer, second_process

pytestmark = pytest.mark.rule("N-04")


class Two:
    """Two processes and a wallet that goes to either."""

    def __init__(self, server: RunningServer, wallet: RawWallet, other: str) -> None:
        self.server, self.wallet, self._other = server, wallet, other

    def at_first(self) -> RawWallet:
        self.wallet.sent_to = None
        return self.wallet

    def at_second(self) -> RawWallet:
        self.wallet.sent_to = self._other
        return self.wallet


@pytest.fixture
def two(own_server: RunningServer) -> Iterator[Two]:
    with second_process(own_server) as (_, origin), own_server.wallet() as wallet:
        yield Two(own_server, wallet, origin)


def ask(wallet: RawWallet, token: str) -> tuple[int, str | None]:
    """Ask for a credential with a proof that is none: what a token that works is told."""
    return error_of(wallet.credential(token, {"proofs": {"jwt": ["x"]}}))


def test_a_code_is_redeemed_at_one(two: Two) -> None:
    code = two.at_first().code()
    assert two.at_second().exchange(code).status_code == 200
    assert error_of(two.at_first().exchange(code)) == (400, "invalid_grant")


def test_a_token_that_is_revoked_at_one_is_dead_at_the_other(two: Two) -> None:
    code = two.at_first().code()
    token = two.at_first().exchange(code).json()["access_token"]
    assert [ask(wallet, token) for wallet in (two.at_second(), two.at_first())] == [(400, "invalid_proof")] * 2
    # Its code comes back: the grant is revoked.
    assert error_of(two.at_first().exchange(code)) == (400, "invalid_grant")
    assert ask(two.at_second(), token) == (401, "invalid_token")


def retire_the_client(server: RunningServer) -> None:
    retired = {**PID["clients"]["registered"][0], "active": False}
    server.apply(document({"clients": {"registered": [retired, *PID["clients"]["registered"][1:]]}}))


def disable_the_credential(server: RunningServer) -> None:
    server.apply(document({"credentials": {"pid": {"enabled": False}}}))


def suspend(server: RunningServer) -> None:
    change(server, update(tenants).where(tenants.c.slug == "pid-provider").values(status="suspended"))


def delete(server: RunningServer) -> None:
    server.beside(lambda service: delete_tenant(service.platform, service.clock, "pid-provider"))


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (retire_the_client, (401, "invalid_client")),
        (disable_the_credential, (400, "invalid_grant")),
        (suspend, (404, "invalid_request")),
        (delete, (404, "invalid_request")),
    ],
)
def test_what_an_operator_ends_is_over_at_both(
    two: Two, end: Callable[[RunningServer], None], told: tuple[int, str]
) -> None:
    code = two.at_first().code()
    for wallet in (two.at_first(), two.at_second()):
        assert wallet.push().status_code == 201
    end(two.server)
    for wallet in (two.at_first(), two.at_second()):
        assert error_of(wallet.exchange(code)) == told
