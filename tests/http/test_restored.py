"""A database that was put back: what was spent since then can be used again, but no longer than if it had not been."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.campus import campus, person
from tests.support.interactive_wallet import interactive_wallet
from tests.support.raw_wallet import error_of
from tests.support.server import RunningServer, fresh_server, running_server

LONGEST = 900
"""Seconds that anything lives which works once."""

Use = Callable[[], httpx2.Response]


@contextmanager
def uses(server: RunningServer) -> Iterator[dict[str, Use]]:
    """Things that work once, each with what a wallet does with it, proofs made anew."""
    erika = person(server, "erika")
    with (
        interactive_wallet(server, holder=erika.holder) as first,
        interactive_wallet(server, holder=erika.holder) as second,
        interactive_wallet(server, holder=erika.holder) as third,
        interactive_wallet(server, holder=erika.holder, scope="diploma") as fourth,
    ):
        asked = first.begin()
        shown = first.present(asked, erika.pid)
        code = second.interactive_code(erika.pid)
        token = third.interactive_token(erika.pid)
        proof = third.key_proof(third.c_nonce())
        agreed = fourth.show(fourth.begin(), erika.pid)
        body = {"credential_configuration_id": third.scope, "proofs": {"jwt": [proof]}}
        yield {
            "a session": lambda: first.respond(asked, shown),
            "a code": lambda: second.exchange(code),
            "a nonce": lambda: third.credential(token, body),
            "a request for a browser": lambda: fourth.http.get(fourth.web_url(agreed)),
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
            spent = {"a code": (400, "invalid_grant"), "a nonce": (400, "invalid_nonce")}
            assert {name: error_of(things[name]()) for name in spent} == spent
        copy(backup, database)
        server.clock.advance(age)
        with running_server(server.settings, [], clock=server.clock):
            assert {use().status_code for use in things.values()} == statuses
