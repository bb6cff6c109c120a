"""What else works once works once however many ask at the same time, on both databases."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from app.main import Service
from app.protocol.refusal import Refusal
from app.provisioning.apply import Applied, apply_document
from tests.races.at_once import MANY, at_once, together
from tests.races.conftest import Origins
from tests.races.outcome import changing
from tests.races.pages import insert_pages
from tests.support.documents import document
from tests.support.raw_wallet import PASSWORD, USERNAME, error_of, unsent

pytestmark = pytest.mark.race


@pytest.mark.rule("DP-14")
@pytest.mark.parametrize(("count", "rounds"), [(2, 30), (MANY, 10)])
def test_of_one_dpop_proof_one_request_is_taken(origins: Origins, count: int, rounds: int) -> None:
    server, addresses = origins
    with server.wallet() as wallet:
        wallet.push()
        for _ in range(rounds):
            proof = wallet.dpop("POST", f"{wallet.issuer}/par", nonce=wallet.nonces["as"])
            requests = [unsent(wallet, partial(wallet.push, dpop=proof)) for _ in range(count)]
            with changing(server, {"session pending": 1, "spent dpop_jti": 1, "told of session_begun": 1}):
                answers = [error_of(answer) for answer in together(addresses, requests)]
            assert sorted(answers) == [(201, None)] + [(400, "invalid_dpop_proof")] * (count - 1)


@pytest.mark.rule("O-10")
def test_five_tries_are_five_however_they_are_sent(origins: Origins) -> None:
    server, addresses = origins
    with server.wallet() as wallet:
        [pages] = insert_pages(server, wallet, 1, step="login", browsers=15)
    for name in (USERNAME, "nobody-1", "nobody-2", "nobody-3", "nobody-4"):
        tries = [pages.form(browser, username=name, password="wrong") for browser in range(15)]
        with changing(server, {"login_attempts": 1}):
            said = [answer.text for answer in together(addresses, tries)]
        assert sum("is not right" in page for page in said) == 5
        assert sum("Too many tries" in page for page in said) == 10
    [late] = together(addresses, [pages.form(0, username=USERNAME, password=PASSWORD)])
    assert "Too many tries" in late.text


def test_of_those_that_make_one_tenant_one_makes_it(origins: Origins) -> None:
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
        with ThreadPoolExecutor(4) as pool:
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
