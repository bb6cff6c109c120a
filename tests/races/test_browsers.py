"""Many browsers, or many clicks of one, at the last page of a session: one finishes it, on both databases."""

from contextlib import closing
from functools import partial

import httpx2
import pytest
from sqlalchemy import select

from app.adapters.db.tables import authorization_codes
from tests.http.told import told
from tests.races.at_once import MANY, together
from tests.races.conftest import Origins
from tests.races.outcome import changing
from tests.races.pages import insert_pages
from tests.support.interactive_wallet import interactive_wallet
from tests.support.presented import PID_ISSUER
from tests.support.raw_wallet import Browser, redirect_parameters, unsent
from tests.support.served import query

pytestmark = pytest.mark.race

CODE_ISSUED = {"session pending": -1, "session code_issued": 1, "authorization_codes": 1, "told of code_issued": 1}
REFUSED = {"session pending": -1, "session failed": 1, "told of session_failed": 1}
SENT_BACK = {"session pending": -1, "session web_auth_completed": 1, "told of browser_leg_completed": 1}


def sole_redirect(answers: list[httpx2.Response]) -> dict[str, str]:
    """Return the parameters of the one redirect to the wallet; all others are one page, which leads nowhere."""
    [redirect] = [answer for answer in answers if answer.status_code == 303]
    others = [told(answer) for answer in answers if answer is not redirect]
    assert all(other == others[0] for other in others)
    status, page, headers = others[0]
    assert status == 400
    assert b"unknown, has expired, or was finished before" in page
    assert not {"location", "set-cookie"} & headers.keys()
    return redirect_parameters(redirect)


@pytest.mark.rule("C-05")
@pytest.mark.parametrize(
    ("browsers", "clicks", "rounds"), [(2, 1, 30), (MANY, 1, 10), (1, 2, 30), (1, MANY, 10), (5, 10, 5)]
)
def test_one_click_finishes_a_page_and_gets_the_code(origins: Origins, browsers: int, clicks: int, rounds: int) -> None:
    server, addresses = origins
    with server.wallet() as wallet:
        for pages in insert_pages(server, wallet, rounds, browsers=browsers):
            requests = [pages.form(browser) for _ in range(clicks) for browser in range(browsers)]
            with changing(server, CODE_ISSUED | {"browser_flows": -browsers}):
                sent_back = sole_redirect(together(addresses, requests))
            assert wallet.exchange(sent_back["code"]).status_code == 200
            code = select(authorization_codes.c.used_at).where(authorization_codes.c.session_id == pages.session_id)
            assert len(query(server, code)) == 1
            # Nobody finishes it once more.
            assert {answer.status_code for answer in together(addresses, requests[:2])} == {400}


@pytest.mark.rule("C-05", "IA-44")
def test_of_agreeing_and_refusing_browsers_one_is_heard(origins: Origins) -> None:
    server, addresses = origins
    heard = set()
    with server.wallet() as wallet:
        # From one that refuses, behind all others, to one that agrees, behind all others.
        agreeing = (MANY - 1, 45, 40, 35, 30, 20, 15, 10, 5, 1)
        for count, pages in zip(agreeing, insert_pages(server, wallet, len(agreeing), browsers=MANY), strict=True):
            actions = sorted(["approve"] * count + ["refuse"] * (MANY - count), reverse=count < MANY / 2)
            changes = {"browser_flows": -MANY}
            with changing(server, changes):
                answers = together(addresses, [pages.form(browser, action) for browser, action in enumerate(actions)])
                sent_back = sole_redirect(answers)
                changes |= CODE_ISSUED if "code" in sent_back else REFUSED
            heard.add(sent_back.get("error", "code"))
    assert heard == {"code", "access_denied"}


@pytest.mark.rule("C-05", "IA-44", "B-07")
@pytest.mark.parametrize(("browsers", "clicks"), [(MANY, 1), (1, MANY)])
def test_one_click_sends_a_wallet_back_to_its_session(origins: Origins, browsers: int, clicks: int) -> None:
    """An interactive session that is not over: one redirect carries the handle to go on with, and it works."""
    server, addresses = origins
    with interactive_wallet(server, "academy", scope="alumni-card") as wallet:
        pid = PID_ISSUER.issue(holder=wallet.holder.private).text
        for _ in range(3):
            asked = wallet.show(wallet.begin(), pid)
            forms = [filled_in(wallet.web_url(asked)) for _ in range(browsers)]
            with changing(server, SENT_BACK | {"browser_flows": -browsers}):
                sent_back = sole_redirect(together(addresses, forms * clicks))
            again = wallet.follow_up(sent_back["auth_session"], {"code_verifier": wallet.verifier})
            assert wallet.show(again, pid).json().keys() >= {"code"}


def filled_in(url: str) -> httpx2.Request:
    """Return the form of the page a new browser is shown, unsent."""
    with closing(Browser()) as browser:
        page = browser.get(url)
        return unsent(browser, partial(browser.submit, page))
