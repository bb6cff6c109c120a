"""One code, several exchanges at once: on both databases, on PostgreSQL through two processes."""

from functools import partial

import httpx2
import pytest

from tests.races.at_once import MANY, together
from tests.races.conftest import Origins
from tests.races.outcome import changing
from tests.support.codes import insert_codes
from tests.support.raw_wallet import RawWallet, error_of, unsent

pytestmark = pytest.mark.race


def exchange_at_once(origins: list[str], wallet: RawWallet, code: str, count: int) -> list[httpx2.Response]:
    """Send the same code so often, each time with a proof of its own."""
    return together(origins, [unsent(wallet, partial(wallet.exchange, code)) for _ in range(count)])


@pytest.mark.rule("C-11", "TOK-10")
@pytest.mark.parametrize(("count", "rounds"), [(2, 100), (3, 50), (MANY, 20)])
def test_of_concurrent_exchanges_one_wins_and_its_token_is_revoked(origins: Origins, count: int, rounds: int) -> None:
    server, addresses = origins
    with server.wallet() as wallet:
        assert wallet.push().status_code == 201
        codes = insert_codes(server, wallet, rounds)
        each = {"grants": 1, "access_tokens": 1, "spent dpop_jti": count, "told of code_redeemed": 1}
        # The others are a second use by the rightful client, of which the first revokes.
        with changing(server, {name: rounds * n for name, n in (each | {"told of code_reused": 1}).items()}):
            for code in codes:
                answers = exchange_at_once(addresses, wallet, code, count)
                won = [answer for answer in answers if answer.status_code == 200]
                assert len(won) == 1, [error_of(answer) for answer in answers]
                assert all(error_of(answer) == (400, "invalid_grant") for answer in answers if answer not in won)
                used = wallet.credential(won[0].json()["access_token"])
                assert error_of(used) == (401, "invalid_token")
