"""One code, several exchanges at once: C-11, on both databases, on PostgreSQL through two processes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.support.codes import insert_codes
from tests.support.database import KINDS
from tests.support.fakes import RunningClock
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.served import serving
from tests.support.server import RunningServer, free_port, serving_process

pytestmark = pytest.mark.slow

ROUNDS = 200


@pytest.fixture(scope="module", params=KINDS)
def origins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, list[str]]]:
    """A service, and the origins of its processes: one on SQLite, two on PostgreSQL."""
    folder: Path = tmp_path_factory.mktemp("races")
    with ExitStack() as stack:
        server = stack.enter_context(serving(request, request.param, folder, clock=RunningClock()))
        found = [server.url]
        if request.param == "postgresql":
            found.append(stack.enter_context(serving_process(server.settings, port=free_port()))[0])
        yield server, found


def racing_wallets(server: RunningServer, origins: list[str], count: int) -> list[RawWallet]:
    """Wallets that share one key and verifier, spread over the processes, each with nonces at hand."""
    first = server.wallet()
    wallets = [replace(first, sent_to=origins[index % len(origins)], nonces={}) for index in range(count)]
    for wallet in wallets:
        assert wallet.push().status_code == 201
    first.http.close()
    return wallets


def exchange_at_once(pool: ThreadPoolExecutor, wallets: list[RawWallet], code: str) -> list[httpx2.Response]:
    """Send the same code by every wallet, started together, each with a proof of its own."""
    barrier = threading.Barrier(len(wallets))

    def run(wallet: RawWallet) -> httpx2.Response:
        barrier.wait()
        return wallet.exchange(code)

    return list(pool.map(run, wallets))


def assert_one_won_and_lost_again(wallets: list[RawWallet], answers: list[httpx2.Response]) -> None:
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1, [error_of(answer) for answer in answers]
    assert all(error_of(answer) == (400, "invalid_grant") for answer in answers if answer not in won)
    used = wallets[0].credential(won[0].json()["access_token"])
    assert error_of(used) == (401, "invalid_token")


@pytest.mark.rule("C-11", "TOK-10")
@pytest.mark.parametrize("at_once", [2, 3])
def test_of_concurrent_exchanges_one_wins_and_its_token_is_revoked(
    origins: tuple[RunningServer, list[str]], at_once: int
) -> None:
    server, addresses = origins
    wallets = racing_wallets(server, addresses, at_once)
    codes = insert_codes(server, wallets[0], ROUNDS)
    with ThreadPoolExecutor(at_once) as pool:
        for code in codes:
            assert_one_won_and_lost_again(wallets, exchange_at_once(pool, wallets, code))
    for wallet in wallets:
        wallet.http.close()


@pytest.mark.rule("C-11")
def test_of_fifty_exchanges_one_wins(origins: tuple[RunningServer, list[str]]) -> None:
    server, addresses = origins
    wallets = racing_wallets(server, addresses, 50)
    codes = insert_codes(server, wallets[0], 20)
    with ThreadPoolExecutor(50) as pool:
        for code in codes:
            assert_one_won_and_lost_again(wallets, exchange_at_once(pool, wallets, code))
    for wallet in wallets:
        wallet.http.close()
