"""Follow-ups while their tenant is suspended or deleted: each is taken whole or not at all."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from app.adapters.db.engine import open_engine
from app.adapters.db.tables import metadata, tenants
from app.adapters.db.transactions import Transactions
from app.main import Service, open_service
from app.provisioning import delete_tenant
from tests.crashes.stage import run_jobs_at
from tests.races.at_once import MANY, together
from tests.races.conftest import Origins
from tests.races.outcome import changing
from tests.races.standing_by import standing_by
from tests.races.test_credentials import errors_of, times
from tests.races.test_follow_ups import CODE_ISSUED, CODE_TOLD, answering
from tests.support.campus import academy
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import unsent
from tests.support.served import change, query
from tests.support.server import RunningServer

pytestmark = pytest.mark.race

AFTER = (0, 3, 8, 15, 25)
"""The tenant is taken away after so many answers."""


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Transactions]:
    transactions = await open_engine(url)
    try:
        yield transactions
    finally:
        await transactions.close()


def status_of(slug: str, status: str) -> Any:
    """Return the statement by which an operator suspends a tenant, or takes that back."""
    return update(tenants).where(tenants.c.slug == slug).values(status=status)


@contextmanager
def new_tenant(server: RunningServer) -> Iterator[InteractiveWallet]:
    """A wallet at a tenant of its own."""
    slug = f"passing-{secrets.token_hex(4)}"
    server.apply(academy(slug))
    with interactive_wallet(server, slug) as wallet:
        yield wallet


def presenting(wallet: InteractiveWallet, count: int) -> list[tuple[httpx2.Response, str]]:
    """Begin so many sessions; return what each was asked, and the presentation that answers it."""
    pid = PID_ISSUER.issue(holder=wallet.holder.private).text
    return [(asked, wallet.present(asked, pid)) for asked in (wallet.begin() for _ in range(count))]


def returning(wallet: InteractiveWallet, count: int) -> list[httpx2.Request]:
    """Return the follow-ups of so many sessions that come back from the browser, each with an answer kept before."""
    wallet.scope = "alumni-card"
    handles = [wallet.agree(wallet.respond(*each))["auth_session"] for each in presenting(wallet, count)]
    verifier = {"code_verifier": wallet.verifier}
    return [unsent(wallet, partial(wallet.follow_up, handle, verifier)) for handle in handles]


@pytest.mark.rule("M-19")
def test_what_a_suspended_tenant_did_not_take_is_as_it_was(origins: Origins) -> None:
    server, addresses = origins
    taken = 0
    with new_tenant(server) as wallet:
        slug = wallet.issuer.rpartition("/")[2]

        async def suspend(transactions: Transactions) -> None:
            await transactions.write(lambda connection: connection.execute(status_of(slug, "suspended")))

        with standing_by(_opened(server.settings.database_url), suspend) as suspend_now:
            for after in AFTER:
                shown = presenting(wallet, MANY)
                changes: dict[str, int] = {}
                with changing(server, changes):
                    requests = [answering(wallet, *each) for each in shown]
                    answers = together(addresses, requests, meanwhile=suspend_now, after=after)
                    codes = errors_of(answers).get((200, None), 0)
                    changes |= times(CODE_ISSUED | CODE_TOLD, codes)
                assert errors_of(answers).keys() <= {(200, None), (404, "invalid_request")}
                left = [each for each, answer in zip(shown, answers, strict=True) if answer.status_code == 404]
                with changing(server, {}):
                    refused = together(addresses, [answering(wallet, *each) for each in left[:5]])
                    assert {answer.status_code for answer in refused} <= {404}
                change(server, status_of(slug, "active"))
                # Who was told that there is nothing goes on as if nothing had been.
                with changing(server, times(CODE_ISSUED | CODE_TOLD, len(left))):
                    continued = together(addresses, [answering(wallet, *each) for each in left])
                assert {answer.status_code for answer in continued} <= {200}
                for answer in [*continued[:1], *[each for each in answers if each.status_code == 200][-1:]]:
                    assert wallet.exchange(answer.json()["code"]).status_code == 200
                taken += codes
    assert 0 < taken < len(AFTER) * MANY


@pytest.mark.rule("M-19", "N-12")
def test_nothing_is_left_of_a_tenant_deleted_while_it_serves(origins: Origins) -> None:
    """What requests under way wrote behind the deletion goes with the next run of the job; nobody waits for another."""
    server, addresses = origins
    said: set[tuple[int, str | None]] = set()

    async def delete(service: Service) -> None:
        await delete_tenant(service.platform, service.clock, slug)

    for after in AFTER:
        with new_tenant(server) as wallet:
            slug = wallet.issuer.rpartition("/")[2]
            requests = [answering(wallet, *each) for each in presenting(wallet, 10)]
            requests += returning(wallet, MANY - 20)
            requests += [unsent(wallet, wallet.begin) for _ in range(60)]  # the last come behind the deletion
            with standing_by(open_service(server.settings, clock=server.clock), delete) as delete_now:
                said |= errors_of(together(addresses, requests, meanwhile=delete_now, after=after)).keys()
            [gone] = together(addresses, [unsent(wallet, wallet.begin)])
            assert gone.status_code == 404
        run_jobs_at(server, server.clock.now(), ["delete"])
        [(tenant_id,)] = query(server, select(tenants.c.tenant_id).where(tenants.c.slug == slug))
        left = [
            table.name
            for table in metadata.sorted_tables
            if table is not tenants and query(server, select(table).where(table.c.tenant_id == tenant_id))
        ]
        assert left == []
    # 400: a session that is gone, or a client that is.
    assert (200, None) in said
    assert (404, "invalid_request") in said
    assert said <= {(200, None), (404, "invalid_request"), (400, "invalid_request"), (401, "invalid_client")}
