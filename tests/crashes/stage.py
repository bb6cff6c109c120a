"""Every request that changes something, ready to be sent; and what has to be true of the rows whatever happened."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import httpx2
from sqlalchemy import case, exists, func, select, text

from app.adapters.db.tables import (
    access_tokens,
    audit_events,
    authorization_codes,
    browser_flows,
    grants,
    issuances,
    repeatable_answers,
    sessions,
    spent_values,
)
from app.interaction.machine import TERMINAL
from app.jobs.schedule import JOBS
from app.main import Service
from tests.support.campus import person
from tests.support.fakes import FixedClock
from tests.support.interactive_wallet import InteractiveWallet, interactive_wallet
from tests.support.raw_wallet import Browser, RawWallet
from tests.support.served import query
from tests.support.server import RunningServer

Send = Callable[[], httpx2.Response]
Answer = tuple[int, str | None]

PASSING = (
    sessions,
    browser_flows,
    repeatable_answers,
    authorization_codes,
    grants,
    access_tokens,
    issuances,
    spent_values,
)
"""Tables in which nothing stays."""


class Stage:
    """Wallets and browsers at a service with the tenants of `tests.support.campus`."""

    def __init__(self, server: RunningServer, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack
        self.erika = person(server, "erika")

    def pid_wallet(self) -> RawWallet:
        """Return a new wallet at `pid-provider`."""
        return self._stack.enter_context(self.server.wallet())

    def wallet(self, scope: str = "student-card") -> InteractiveWallet:
        """Return a new wallet at `university` that asks for a credential."""
        wallet = interactive_wallet(self.server, holder=self.erika.holder, scope=scope)
        return self._stack.enter_context(wallet)

    def browser(self) -> Browser:
        """Return a new browser."""
        return self._stack.enter_context(closing(Browser()))

    def confirm_page(self) -> tuple[Browser, httpx2.Response]:
        """Return a browser at the last page of a pushed request."""
        wallet, browser = self.pid_wallet(), self.browser()
        return browser, browser.sign_in(browser.get(wallet.authorize_url(wallet.push())))

    def issue(self) -> None:
        """Walk from the first request to a credential."""
        wallet = self.wallet()
        assert wallet.derived(wallet.interactive_token(self.erika.pid)).status_code == 200

    # The requests. Sent again they are the same but for their proof, as a wallet sends what was not answered.

    def push(self) -> Send:
        return self.pid_wallet().push

    def initial_request(self) -> Send:
        return self.wallet().begin

    def last_presentation(self) -> Send:
        return self._presentation(self.wallet())

    def presentation_before_pages(self) -> Send:
        return self._presentation(self.wallet("diploma"))

    def wrong_presentation(self) -> Send:
        wallet = self.wallet()
        return self._presentation(wallet, key=wallet.key)

    def _presentation(self, wallet: InteractiveWallet, **bent: Any) -> Send:
        asked = wallet.begin()
        response = json.dumps({"vp_token": {"pid": [wallet.present(asked, self.erika.pid, **bent)]}})
        return partial(wallet.send, asked, response)

    def return_from_browser(self) -> Send:
        wallet = self.wallet("alumni-card")
        handle = wallet.agree(wallet.show(wallet.begin(), self.erika.pid))["auth_session"]
        return partial(wallet.follow_up, handle, {"code_verifier": wallet.verifier})

    def first_page(self) -> Send:
        wallet = self.pid_wallet()
        return partial(self.browser().get, wallet.authorize_url(wallet.push()))

    def sign_in(self) -> Send:
        wallet, browser = self.pid_wallet(), self.browser()
        return partial(browser.sign_in, browser.get(wallet.authorize_url(wallet.push())))

    def last_page(self) -> Send:
        browser, page = self.confirm_page()
        return partial(browser.submit, page)

    def last_page_of_a_leg(self) -> Send:
        wallet, browser = self.wallet("alumni-card"), self.browser()
        page = browser.get(wallet.web_url(wallet.show(wallet.begin(), self.erika.pid)))
        return partial(browser.submit, page)

    def refuse(self) -> Send:
        browser, page = self.confirm_page()
        return partial(browser.submit, page, {"action": "refuse"})

    def exchange(self) -> Send:
        wallet = self.wallet()
        return partial(wallet.exchange, wallet.interactive_code(self.erika.pid))

    def credential(self) -> Send:
        wallet = self.wallet()
        token = wallet.interactive_token(self.erika.pid)
        proofs = {"jwt": [wallet.key_proof(wallet.c_nonce())]}
        return partial(wallet.credential, token, {"credential_configuration_id": wallet.scope, "proofs": proofs})


DONE: Answer = (200, None)
SESSION_ERROR: Answer = (400, "invalid_request")
SENT_BACK: Answer = (303, None)
FINISHED_PAGE: Answer = (400, None)

WRITES: dict[Callable[[Stage], Send], list[tuple[Answer, Answer]]] = {
    Stage.push: [((201, None), (201, None))],
    Stage.initial_request: [(DONE, DONE)],
    # The claim spends the nonce, so that what was claimed and not recorded is over; what was recorded is told again.
    Stage.last_presentation: [(DONE, SESSION_ERROR), (SESSION_ERROR, DONE)],
    Stage.presentation_before_pages: [(DONE, SESSION_ERROR), (SESSION_ERROR, DONE)],
    Stage.wrong_presentation: [((400, "access_denied"), SESSION_ERROR), (SESSION_ERROR, SESSION_ERROR)],
    Stage.return_from_browser: [(DONE, DONE)],
    Stage.first_page: [(DONE, DONE)],
    # A try to sign in, and the page it leads to.
    Stage.sign_in: [(DONE, DONE), (DONE, DONE)],
    Stage.last_page: [(SENT_BACK, FINISHED_PAGE)],
    Stage.last_page_of_a_leg: [(SENT_BACK, FINISHED_PAGE)],
    Stage.refuse: [(SENT_BACK, FINISHED_PAGE)],
    Stage.exchange: [(DONE, (400, "invalid_grant"))],
    Stage.credential: [(DONE, (400, "invalid_nonce"))],
}
"""For each write of a request: what the same request gets after the service died before its commit, and behind it."""


def half_done(server: RunningServer) -> list[str]:
    """Return what is there by halves: a code without the end of its session, a grant without its code, and the like."""

    def count(column: Any, *joined: Any) -> Any:
        return select(func.count()).select_from(column.table).where(*joined).scalar_subquery()

    codes_of_session = count(authorization_codes.c.code_id, authorization_codes.c.session_id == sessions.c.session_id)
    of_grant = {
        table: count(table.c.grant_id, table.c.grant_id == grants.c.grant_id)
        for table in (authorization_codes, access_tokens, issuances)
    }

    def told(kind: str, subject: Any) -> Any:
        events = audit_events.c
        return exists().where(events.kind == kind, events.subject == subject)

    # Those of an expired session go by their own expiry.
    ended = select(sessions.c.session_id).where(sessions.c.status.in_(["code_issued", "failed"]))
    halves = {
        "a session and its code": select(sessions.c.session_id).where(
            codes_of_session != case((sessions.c.status == "code_issued", 1), else_=0)
        ),
        "a browser in a session that ended": select(browser_flows.c.flow_id).where(
            browser_flows.c.session_id.in_(ended)
        ),
        "a grant": select(grants.c.grant_id).where(
            (of_grant[authorization_codes] != 1)
            | (of_grant[access_tokens] != 1)
            | (of_grant[issuances] != grants.c.credentials_issued)
        ),
        "a code nobody was told of": select(authorization_codes.c.code_id).where(
            ~told("code_issued", authorization_codes.c.session_id)
        ),
        "a code that was not minted": select(sessions.c.session_id).where(
            sessions.c.status != "code_issued", told("code_issued", sessions.c.session_id)
        ),
        "a code that is used or not": select(authorization_codes.c.code_id).where(
            authorization_codes.c.used_at.is_(None) == told("code_redeemed", authorization_codes.c.session_id)
        ),
        "a credential nobody was told of": select(issuances.c.issuance_id).where(
            ~told("credential_issued", issuances.c.issuance_id)
        ),
    }
    found = [name for name, statement in halves.items() if query(server, statement)]
    if server.settings.database_url.startswith("sqlite"):
        found += [str(row) for row in query(server, text("PRAGMA foreign_key_check"))]
        found += [str(row) for row in query(server, text("PRAGMA integrity_check")) if tuple(row) != ("ok",)]
    return found


def rows(server: RunningServer) -> dict[str, int]:
    """Return how many rows each table has that requests write to."""
    counted = [select(func.count()).select_from(table).scalar_subquery() for table in (*PASSING, audit_events)]
    [found] = query(server, select(*counted))
    return dict(zip([table.name for table in (*PASSING, audit_events)], found, strict=True))


def stuck(server: RunningServer) -> dict[str, Any]:
    """Run the jobs when every session is over, and when everything is; return what has not gone."""
    lifetime = 3600
    run_jobs_at(server, server.clock.now() + lifetime, ["end-sessions", "erase"])
    unfinished = select(sessions.c.status).where(sessions.c.status.not_in(TERMINAL))
    kept = select(authorization_codes.c.code_id).where(authorization_codes.c.authorization.is_not(None))
    found: dict[str, Any] = {"unfinished": list(query(server, unfinished)), "with claims": list(query(server, kept))}
    run_jobs_at(server, server.clock.now() + 30 * 86400, list(JOBS))
    found |= {name: count for name, count in rows(server).items() if name != "audit_events"}
    return {name: value for name, value in found.items() if value}


def run_jobs_at(server: RunningServer, now: int, names: Sequence[str]) -> None:
    """Run jobs beside the service, by a clock of their own."""

    async def run(service: Service) -> None:
        for name in names:
            await JOBS[name].run(service.platform, service.clock, lambda _: None)

    RunningServer(server.settings, FixedClock(now)).beside(run)
