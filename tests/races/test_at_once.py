"""What lets races be races: requests that are really under way together, and meet in the database."""

import json

import pytest

from tests.races.at_once import MANY, volley
from tests.races.conftest import STRICT, Origins
from tests.races.test_follow_ups import race
from tests.support.raw_wallet import unsent
from tests.support.server import RunningServer

pytestmark = pytest.mark.race


def beaten(server: RunningServer) -> int:
    """Return how many requests were beaten to the change they had judged already, by what the processes log."""
    logs = server.settings.data_directory.glob("serve-*.log")
    records = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return sum(record.get("reason") == "somebody else was faster" for record in records)


def test_all_are_under_way_before_the_first_is_answered(origins: Origins) -> None:
    server, addresses = origins
    with server.wallet() as wallet:
        wallet.push()
        rounds = [volley(addresses, [unsent(wallet, wallet.push) for _ in range(MANY)]) for _ in range(5)]
    assert all(answer.status_code == 201 for each in rounds for answer in each.answers)
    # Not always: this process may be kept from running for a moment.
    assert sum(each.all_under_way for each in rounds) >= 3


def test_two_processes_meet_at_one_row(origins: Origins) -> None:
    """Several had found the session waiting before one took it; on SQLite one writer comes after the other."""
    server, addresses = origins
    before = beaten(server)
    won = race(origins, STRICT, count=MANY, rounds=5, same_octets=False)
    assert [len(answers) for answers in won] == [1] * 5
    assert (beaten(server) > before) == (len(addresses) > 1)
