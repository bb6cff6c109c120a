"""Signing in over HTTP: every failure looks alike, and nobody tries for long.

This module's tests move the shared clock forward; those that leave failed tries behind, past their window.
"""

import httpx2
import pytest

from app.adapters.passwords import Argon2Passwords
from tests.http.pages import is_consent
from tests.support.documents import OTHER_SLUG
from tests.support.raw_wallet import PASSWORD, USERNAME, Browser, RawWallet
from tests.support.server import RunningServer

WRONG = "Error:"
"""Begins the title of a page whose last answer did not do."""


@pytest.fixture
def page(wallet: RawWallet, browser: Browser) -> httpx2.Response:
    """The sign-in page of a fresh request."""
    return browser.get(wallet.authorize_url(wallet.push()))


def fail(browser: Browser, page: httpx2.Response, username: str, times: int = 1) -> list[str]:
    """Try with a wrong password; return the pages."""
    answers = [browser.sign_in(page, username, "wrong") for _ in range(times)]
    assert {answer.status_code for answer in answers} == {400}
    return [answer.text for answer in answers]


@pytest.mark.rule("O-10")
def test_unknown_inactive_and_mistaken_people_see_the_same(
    server: RunningServer, browser: Browser, page: httpx2.Response
) -> None:
    answers = [
        browser.sign_in(page, username, password)
        for username, password in [
            (USERNAME, "wrong"),
            (USERNAME, ""),
            ("nobody", PASSWORD),
            ("", PASSWORD),
            ("gone", PASSWORD),
            ("gone", "wrong"),
            ("x" * 10_000, PASSWORD),
            ("nobody\U0001f600", "wrong"),
        ]
    ]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert answers[0].status_code == 400
    assert WRONG in answers[0].text
    server.clock.advance(900)


@pytest.mark.rule("O-09")
@pytest.mark.parametrize("username", [USERNAME, "nobody", "gone", ""])
def test_a_failed_sign_in_always_costs_one_password_comparison(
    server: RunningServer,
    browser: Browser,
    page: httpx2.Response,
    monkeypatch: pytest.MonkeyPatch,
    username: str,
) -> None:
    compared: list[str] = []
    verify = Argon2Passwords._verify

    def counting(self: Argon2Passwords, password: str, encoded: str) -> bool:
        compared.append(encoded.rpartition("$")[0].rpartition("$")[0])
        return verify(self, password, encoded)

    monkeypatch.setattr(Argon2Passwords, "_verify", counting)
    fail(browser, page, username)
    # The same algorithm with the same cost, whoever is asked for.
    assert compared == ["$argon2id$v=19$m=19456,t=2,p=1"]
    server.clock.advance(900)


@pytest.mark.rule("O-10")
def test_the_sixth_try_within_fifteen_minutes_is_refused_for_every_name(
    server: RunningServer, wallet: RawWallet, browser: Browser, page: httpx2.Response
) -> None:
    seen = {name: fail(browser, page, name, 6) for name in (USERNAME, "nobody", "gone")}
    assert seen[USERNAME] == seen["nobody"] == seen["gone"]
    *tries, sixth = seen[USERNAME]
    assert len(set(tries)) == 1
    assert sixth not in tries
    # Now the right password does not help, nor another spelling of the name, another browser or another request.
    assert browser.sign_in(page).text == sixth
    assert browser.sign_in(page, USERNAME.upper()).text == sixth
    server.clock.advance(899)
    page = browser.get(wallet.authorize_url(wallet.push()))
    assert not is_consent(browser.sign_in(page))
    # Another person is not held up.
    assert is_consent(browser.sign_in(page, "max"))
    server.clock.advance(1)
    page = browser.get(wallet.authorize_url(wallet.push()))
    assert is_consent(browser.sign_in(page))


def test_a_success_starts_the_count_anew(wallet: RawWallet, browser: Browser, page: httpx2.Response) -> None:
    [wrong] = fail(browser, page, USERNAME)
    fail(browser, page, USERNAME, 3)
    assert is_consent(browser.sign_in(page))
    page = browser.get(wallet.authorize_url(wallet.push()))
    fail(browser, page, USERNAME, 4)
    assert is_consent(browser.sign_in(page))
    assert WRONG in wrong


def test_tries_at_one_tenant_do_not_count_at_another(server: RunningServer, browser: Browser) -> None:
    with server.wallet() as here, server.wallet(OTHER_SLUG) as there:
        fail(browser, browser.get(here.authorize_url(here.push())), USERNAME, 6)
        assert is_consent(browser.sign_in(browser.get(there.authorize_url(there.push()))))
    server.clock.advance(900)
