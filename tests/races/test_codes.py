"""One code, several exchanges at once: C-11, on both databases, on PostgreSQL through two processes."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
import pytest

from tests.races.at_once import at_once, racing_wallets
from tests.support.codes import insert_codes
from tests.support.raw_wallet import RawWallet, error_of
from tests.support.server import RunningServer

pytestmark = pytest.mark.slow

ROUNDS = 200


def exchange_at_once(pool: ThreadPoolExecutor, wallets: list[RawWallet], code: str) -> list[httpx2.Response]:
    """Send the same code by every wallet, each with a proof of its own."""
    return at_once(pool, [partial(wallet.exchange, code) for wallet in wallets])


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
