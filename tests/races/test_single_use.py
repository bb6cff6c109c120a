"""What works once works once however many ask at the same time, on both databases."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from app.adapters.db.tables import authorization_codes, browser_flows, issuances
from app.interaction.browser import flow_name, form_token
from app.interaction.plan import make_plan
from app.main import Service
from app.protocol.digest import digest
from app.protocol.refusal import Refusal
from app.provisioning.apply import Applied, apply_document
from app.storage import TenantStore
from tests.races.at_once import at_once, racing_wallets
from tests.support import records
from tests.support.codes import insert_codes
from tests.support.documents import document
from tests.support.raw_http import RawAnswer, exchange, request
from tests.support.raw_wallet import PASSWORD, REDIRECT_URI, USERNAME, RawWallet, error_of
from tests.support.served import query
from tests.support.server import RunningServer

pytestmark = pytest.mark.slow

Origins = tuple[RunningServer, list[str]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def wallets(origins: Origins) -> Iterator[list[RawWallet]]:
    server, addresses = origins
    wallets = racing_wallets(server, addresses, 10)
    yield wallets
    for wallet in wallets:
        wallet.http.close()


@pytest.mark.rule("DP-14")
def test_of_one_dpop_proof_one_request_is_taken(wallets: list[RawWallet], pool: ThreadPoolExecutor) -> None:
    url = f"{wallets[0].issuer}/par"
    for _ in range(50):
        proof = wallets[0].dpop("POST", url, nonce=wallets[0].nonces["as"])
        answers = at_once(pool, [partial(wallet.push, dpop=proof) for wallet in wallets])
        taken = [answer for answer in answers if answer.status_code == 201]
        assert len(taken) == 1
        assert all(error_of(answer) == (400, "invalid_dpop_proof") for answer in answers if answer not in taken)


@pytest.mark.rule("L-01")
def test_of_one_key_proof_one_credential_is_made(
    origins: Origins, wallets: list[RawWallet], pool: ThreadPoolExecutor
) -> None:
    server, _ = origins
    first = wallets[0]
    for code in insert_codes(server, first, 50):
        token = first.exchange(code).json()["access_token"]
        proofs = {"proofs": {"jwt": [first.key_proof(first.c_nonce())]}}
        for wallet in wallets:
            wallet.nonces["resource"] = first.nonces["resource"]
        answers = at_once(pool, [partial(wallet.credential, token, proofs) for wallet in wallets])
        issued = [answer for answer in answers if answer.status_code == 200]
        assert len(issued) == 1
        assert all(error_of(answer) == (400, "invalid_nonce") for answer in answers if answer not in issued)


@pytest.mark.rule("L-10")
def test_ten_requests_get_the_five_credentials_of_a_grant(
    origins: Origins, wallets: list[RawWallet], pool: ThreadPoolExecutor
) -> None:
    server, _ = origins
    first = wallets[0]
    before = len(query(server, select(issuances)))
    for code in insert_codes(server, first, 20):
        token = first.exchange(code).json()["access_token"]
        calls = []
        for wallet in wallets:
            proofs = {"proofs": {"jwt": [wallet.key_proof(wallet.c_nonce())]}}
            calls.append(partial(wallet.credential, token, proofs))
        answers = [error_of(answer) for answer in at_once(pool, calls)]
        assert answers.count((200, None)) == 5
        assert answers.count((400, "credential_request_denied")) == 5
    assert len(query(server, select(issuances))) == before + 20 * 5


class Pages:
    """Browsers that are all at one page of one session."""

    def __init__(self, server: RunningServer, origins: list[str], *, step: int, browsers: int) -> None:
        self._server, self._origins, self._step = server, origins, step
        self.session_id = secrets.token_hex(16)
        self._handle = secrets.token_urlsafe(32)
        self._cookies = [secrets.token_urlsafe(32) for _ in range(browsers)]

    def insert(self, store: TenantStore) -> None:
        """Put the session and its browsers straight into the database."""
        now = self._server.clock.now()
        erika = store.users.by_username(USERNAME)
        assert erika is not None
        store.sessions.create(
            records.session(
                session_id=self.session_id,
                client_id="demo-wallet",
                redirect_uri=REDIRECT_URI,
                issuer_state_digest=None,
                authorization_details=None,
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
                    step_index=self._step,
                    user_id=erika.user_id if self._step else None,
                    results={"login": {"username": USERNAME}} if self._step else {},
                    created_at=now,
                    expires_at=now + 900,
                )
            )

    def submit(self, browser: int, **fields: str) -> RawAnswer:
        """Send the page's form by one of the browsers."""
        cookie = self._cookies[browser]
        request_uri = f"urn:ietf:params:oauth:request_uri:{self._handle}"
        form = {
            "request_uri": request_uri,
            "form_token": form_token(cookie),
            "step": ("login", "confirm")[self._step],
            "action": "approve",
            **fields,
        }
        octets = request(
            "POST",
            "/pid-provider/authorize/answer",
            host=self._server.url.removeprefix("http://"),
            headers=[
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Cookie", f"vestibule-{flow_name(request_uri)}={cookie}"),
            ],
            body=urlencode(form).encode(),
        )
        return exchange(self._origins[browser % len(self._origins)], octets)


@pytest.mark.rule("C-05")
@pytest.mark.parametrize("browsers", [2, 5])
def test_of_browsers_that_finish_one_page_one_gets_a_code(
    origins: Origins, pool: ThreadPoolExecutor, browsers: int
) -> None:
    server, addresses = origins
    rounds = [Pages(server, addresses, step=1, browsers=browsers) for _ in range(200)]

    def insert(store: TenantStore) -> None:
        for pages in rounds:
            pages.insert(store)

    server.store(insert)
    for pages in rounds:
        answers = at_once(pool, [partial(pages.submit, browser) for browser in range(browsers)])
        assert sorted(answer.status for answer in answers) == [303] + [400] * (browsers - 1)
        assert all("location" not in answer.headers for answer in answers if answer.status == 400)
    ids = [pages.session_id for pages in rounds]
    codes = query(server, select(authorization_codes.c.session_id).where(authorization_codes.c.session_id.in_(ids)))
    assert sorted(row.session_id for row in codes) == sorted(ids)
    assert query(server, select(browser_flows).where(browser_flows.c.session_id.in_(ids))) == []


@pytest.mark.rule("O-10")
def test_five_tries_are_five_however_they_are_sent(origins: Origins, pool: ThreadPoolExecutor) -> None:
    server, addresses = origins
    pages = Pages(server, addresses, step=0, browsers=15)
    server.store(pages.insert)
    for name in (USERNAME, "nobody-1", "nobody-2", "nobody-3", "nobody-4"):
        tries = [partial(pages.submit, browser, username=name, password="wrong") for browser in range(15)]
        said = [answer.body for answer in at_once(pool, tries)]
        assert sum(b"is not right" in page for page in said) == 5
        assert sum(b"Too many tries" in page for page in said) == 10
    late = pages.submit(0, username=USERNAME, password=PASSWORD)
    assert b"Too many tries" in late.body


def test_of_those_that_make_one_tenant_one_makes_it(origins: Origins, pool: ThreadPoolExecutor) -> None:
    server, _ = origins

    async def apply(slug: str, service: Service) -> Applied | Refusal:
        made = document({"tenant": {"slug": slug, "display": [{"name": slug}]}})
        try:
            return await apply_document(
                service.platform,
                service.key_maker,
                service.passwords,
                service.clock,
                service.entropy,
                made,
                public_url=service.settings.public_url,
            )
        except Refusal as refusal:
            return refusal

    for _ in range(5):
        slug = f"new-{secrets.token_hex(8)}"
        results = at_once(pool, [partial(server.beside, partial(apply, slug)) for _ in range(4)])
        applied = [result for result in results if isinstance(result, Applied)]
        assert sum(one.created for one in applied) == 1
        # Who came too late is told so, or finds the same document there already.
        assert all(one.created or one.unchanged for one in applied)
        assert {one.code for one in results if isinstance(one, Refusal)} <= {"tenant_exists", "conflict"}
        keys = server.store(lambda store: store.signing_keys.all(), slug)
        assert sorted(key.purpose for key in keys) == ["access_token", "credential", "development_ca"]
        assert server.store(lambda store: store.documents.current()[0], slug) == 1
        assert len(server.store(lambda store: store.users.all(), slug)) == 3
        with server.wallet(slug) as wallet:
            assert wallet.push().status_code == 201
