"""A database that was put back: what was spent since then can be used again, but no longer than if it had not been."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.campus import campus, person
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer, fresh_server, running_server

LONGEST = 900
"""Seconds that anything lives which works once or for a while."""

Use = Callable[[], httpx2.Response]


@contextmanager
def uses(server: RunningServer) -> Iterator[dict[str, Use]]:
    """What works once or for a while, each with what a wallet does with it; all around it is made anew."""
    erika = person(server, "erika")
    with ExitStack() as stack:

        def wallet(scope: str = "student-card") -> InteractiveWallet:
            return stack.enter_context(interactive_wallet(server, holder=erika.holder, scope=scope))

        presenting, exchanging, asking, browsing = wallet(), wallet(), wallet(), wallet("diploma")
        asked = presenting.begin()
        code = exchanging.interactive_code(erika.pid)
        token = asking.interactive_token(erika.pid)
        nonce = asking.c_nonce()
        agreed = browsing.show(browsing.begin(), erika.pid)

        def credential(access_token: str, c_nonce: str) -> httpx2.Response:
            proofs = {"jwt": [asking.key_proof(c_nonce)]}
            return asking.credential(access_token, {"credential_configuration_id": asking.scope, "proofs": proofs})

        yield {
            "a session": lambda: presenting.show(asked, erika.pid),
            "a code": lambda: exchanging.exchange(code),
            "a nonce": lambda: credential(asking.interactive_token(erika.pid), nonce),
            "a token": lambda: credential(token, asking.c_nonce()),
            "a request for a browser": lambda: browsing.http.get(browsing.web_url(agreed)),
        }


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as other:
        whole.backup(other)


@pytest.mark.rule("N-15")
@pytest.mark.parametrize(("age", "statuses"), [(LONGEST, {400, 401}), (0, {200})], ids=["old", "fresh"])
def test_what_a_backup_brings_back(tmp_path: Path, age: int, statuses: set[int]) -> None:
    """One that is older than anything that works once brings nothing back; a fresh one does, as the decision says."""
    database, backup = tmp_path / "vestibule.db", tmp_path / "backup.db"
    with ExitStack() as wallets:
        with fresh_server(tmp_path, campus()) as server:
            things = wallets.enter_context(uses(server))
            copy(database, backup)
            assert {name: use().status_code for name, use in things.items()} == dict.fromkeys(things, 200)
            spent = {
                "a session": (400, "invalid_request"),
                "a code": (400, "invalid_grant"),
                "a nonce": (400, "invalid_nonce"),
            }
            assert {name: error_of(things[name]()) for name in spent} == spent
        copy(backup, database)
        server.clock.advance(age)
        with running_server(server.settings, [], clock=server.clock):
            assert {use().status_code for use in things.values()} == statuses
