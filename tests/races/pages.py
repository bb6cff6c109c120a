"""Browsers that are at a page of one session, put straight into the database."""

import secrets

import httpx2

from app.interaction.browser import flow_name, form_token
from app.interaction.plan import make_plan
from app.protocol import base64url
from app.protocol.digest import digest
from app.storage import TenantStore
from tests.support import records
from tests.support.raw_wallet import REDIRECT_URI, USERNAME, RawWallet
from tests.support.server import RunningServer

STEPS = ("login", "confirm")


class Pages:
    """Browsers that are all at one page of one pushed request of a wallet's."""

    def __init__(self, server: RunningServer, wallet: RawWallet, *, step: str, browsers: int) -> None:
        self._server, self._wallet, self._step = server, wallet, step
        self.session_id = secrets.token_hex(16)
        self._handle = secrets.token_urlsafe(32)
        self._cookies = [secrets.token_urlsafe(32) for _ in range(browsers)]

    def insert(self, store: TenantStore) -> None:
        """Put the session and its browsers into the database."""
        now, index = self._server.clock.now(), STEPS.index(self._step)
        erika = store.users.by_username(USERNAME)
        assert erika is not None
        store.sessions.create(
            records.session(
                session_id=self.session_id,
                client_id=self._wallet.client_id,
                redirect_uri=REDIRECT_URI,
                scope="pid",
                issuer_state_digest=None,
                authorization_details=None,
                code_challenge=base64url.encode(digest(self._wallet.verifier)),
                dpop_jkt=None,
                request_uri_digest=digest(self._handle),
                request_uri_expires_at=now + 60,
                presentation_data=None,
                plan=make_plan(store.documents.current()[1], ["pid"], refuse_with="invalid_scope"),
                completed_steps={},
                created_at=now,
                expires_at=now + 900,
            )
        )
        for cookie in self._cookies:
            store.browser_flows.create(
                records.flow(
                    flow_id=secrets.token_hex(16),
                    session_id=self.session_id,
                    cookie_digest=digest(cookie),
                    step_index=index,
                    user_id=erika.user_id if index else None,
                    results={"login": {"username": USERNAME}} if index else {},
                    created_at=now,
                    expires_at=now + 900,
                )
            )

    def form(self, browser: int, action: str = "approve", **fields: str) -> httpx2.Request:
        """Return the page's form, filled in and unsent, of one of the browsers."""
        cookie = self._cookies[browser]
        request_uri = f"urn:ietf:params:oauth:request_uri:{self._handle}"
        own = {"request_uri": request_uri, "form_token": form_token(cookie), "step": self._step, "action": action}
        return httpx2.Request(
            "POST",
            f"{self._wallet.issuer}/authorize/answer",
            data={**own, **fields},
            headers={"Cookie": f"vestibule-{flow_name(request_uri)}={cookie}"},
        )


def insert_pages(
    server: RunningServer, wallet: RawWallet, count: int, *, step: str = "confirm", browsers: int = 1
) -> list[Pages]:
    """Put sessions with their browsers into the database of `pid-provider`."""
    made = [Pages(server, wallet, step=step, browsers=browsers) for _ in range(count)]

    def insert(store: TenantStore) -> None:
        for pages in made:
            pages.insert(store)

    server.store(insert)
    return made
