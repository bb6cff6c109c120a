"""What is left of a journey: claims go with the use they were kept for, rows go with their time."""

from contextlib import closing

import pytest
from sqlalchemy import func, select

from app.adapters.db.expiry import MARGIN
from app.adapters.db.tables import audit_events, metadata, sessions
from app.interaction.machine import Status
from app.jobs import expire
from app.jobs.schedule import JOBS
from app.main import Service
from app.protocol.digest import digest
from tests.support.raw_wallet import Browser, RawWallet, error_of, redirect_parameters
from tests.support.served import query
from tests.support.server import RunningServer

KEPT = {"tenants", "data_keys", "document_revisions", "signing_keys", "users", "audit_events"}
"""Tables whose rows no passage of time deletes."""


def tables_with_rows(server: RunningServer) -> set[str]:
    return {
        table.name for table in metadata.sorted_tables if query(server, select(func.count()).select_from(table))[0][0]
    }


def run_expiry(server: RunningServer) -> int:
    async def run(service: Service) -> int:
        return sum([await job.run(service.platform, service.clock, lambda _: None) for job in JOBS.values()])

    return server.beside(run)


def leave_at_the_second_page(wallet: RawWallet) -> str:
    """Sign in and go away; return the request_uri."""
    pushed = wallet.push()
    with closing(Browser()) as browser:
        assert browser.sign_in(browser.get(wallet.authorize_url(pushed))).status_code == 200
    return str(pushed.json()["request_uri"])


def test_claims_move_from_code_to_grant_and_go_with_the_last_credential(own_either_server: RunningServer) -> None:
    server = own_either_server
    with server.wallet() as wallet:
        code = wallet.code()
        assert "browser_flows" not in tables_with_rows(server)
        unused = server.store(lambda store: store.codes.by_digest(digest(code)))
        assert unused is not None
        assert unused.authorization is not None
        token = wallet.exchange(code).json()["access_token"]
        used = server.store(lambda store: store.codes.by_digest(digest(code)))
        assert used is not None
        assert used.grant_id is not None
        assert used.authorization is None
        grant_id = used.grant_id
        for issued in range(1, 6):
            assert wallet.credential(token).status_code == 200
            grant = server.store(lambda store: store.grants.by_id(grant_id))
            assert grant is not None
            assert grant.credentials_issued == issued
            assert (grant.authorization is None) is (issued == 5)


@pytest.mark.rule("CR-24", "IS-19")
def test_of_an_issued_credential_only_the_fact_is_kept(own_either_server: RunningServer) -> None:
    server = own_either_server
    with server.wallet() as wallet:
        assert wallet.credential(wallet.access_token()).status_code == 200
        [row] = query(server, select(metadata.tables["issuances"]))
        kept = dict(row._mapping)
        assert kept.pop("holder_jkt") == wallet.holder.thumbprint
        assert kept.keys() == {"tenant_id", "issuance_id", "grant_id", "configuration_id", "issued_at"}


def test_revoking_erases_the_claims(own_either_server: RunningServer) -> None:
    server = own_either_server
    with server.wallet() as wallet:
        code = wallet.code()
        assert wallet.exchange(code).status_code == 200
        assert error_of(wallet.exchange(code)) == (400, "invalid_grant")
        used = server.store(lambda store: store.codes.by_digest(digest(code)))
        assert used is not None
        grant = server.store(lambda store: store.grants.by_id(used.grant_id or ""))
        assert grant is not None
        assert grant.revoked_at is not None
        assert grant.authorization is None


def test_an_abandoned_session_is_recorded_expired_before_its_row_goes(own_either_server: RunningServer) -> None:
    server = own_either_server
    with server.wallet() as wallet:
        leave_at_the_second_page(wallet)
        finished = wallet.code()
    server.clock.advance(899)
    run_expiry(server)
    assert {row.status for row in query(server, select(sessions))} == {Status.PENDING, Status.CODE_ISSUED}
    server.clock.advance(1)
    run_expiry(server)
    # A session that came to its end is not said to have expired.
    found = {row.status: row.session_id for row in query(server, select(sessions))}
    assert found.keys() == {Status.EXPIRED, Status.CODE_ISSUED}
    events = query(server, select(audit_events).where(audit_events.c.kind == "session_expired"))
    assert [event.subject for event in events] == [found[Status.EXPIRED]]
    assert finished
    run_expiry(server)
    assert len(query(server, select(audit_events).where(audit_events.c.kind == "session_expired"))) == 1
    server.clock.advance(MARGIN + 1)
    run_expiry(server)
    assert query(server, select(sessions)) == []


def test_nobody_finishes_an_expired_session(own_either_server: RunningServer) -> None:
    server = own_either_server
    with server.wallet() as wallet, closing(Browser()) as browser:
        page = browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))
        server.clock.advance(900)
        run_expiry(server)
        late = browser.submit(page)
        assert late.status_code == 400
        assert "location" not in late.headers
    assert "authorization_codes" not in tables_with_rows(server)


def test_in_the_end_nothing_of_a_journey_is_left(own_either_server: RunningServer) -> None:
    server = own_either_server
    before = tables_with_rows(server)
    with server.wallet() as wallet, closing(Browser()) as browser:
        assert wallet.credential(wallet.access_token()).status_code == 200
        assert wallet.code()
        leave_at_the_second_page(wallet)
        refused = browser.submit(browser.get(wallet.authorize_url(wallet.push())), {"action": "refuse"})
        assert redirect_parameters(refused)["error"] == "access_denied"
        browser.sign_in(browser.get(wallet.authorize_url(wallet.push())), password="wrong")
    assert tables_with_rows(server) >= {"sessions", "browser_flows", "authorization_codes", "grants", "login_attempts"}
    server.clock.advance(900 + MARGIN + 1)
    assert run_expiry(server) > 10
    assert tables_with_rows(server) == before | {"audit_events"} <= KEPT
    assert run_expiry(server) == 0


def test_expiry_works_in_bounded_batches(own_either_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = own_either_server
    with server.wallet() as wallet:
        for _ in range(10):
            assert wallet.push().status_code == 201
    server.clock.advance(900 + MARGIN + 1)

    async def end_three(service: Service) -> int:
        now = service.clock.now()
        return await service.platform.transact(lambda store: store.end_timed_out_sessions(now=now, limit=3))

    assert [server.beside(end_three) for _ in range(2)] == [3, 3]
    statuses = [row.status for row in query(server, select(sessions))]
    assert (statuses.count(Status.EXPIRED), statuses.count(Status.PENDING)) == (6, 4)
    monkeypatch.setattr(expire, "_BATCH", 3)
    # Ten sessions and the `jti`s of their pushes, in as many transactions as it takes.
    assert run_expiry(server) >= 20
    assert tables_with_rows(server) <= KEPT
    assert len(query(server, select(audit_events).where(audit_events.c.kind == "session_expired"))) == 10
