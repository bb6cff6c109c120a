"""Inputs within the limits that would keep a reader busy for seconds if its time grew with their square (O-15)."""

import time
from collections.abc import Callable

import httpx2
import pytest

from app.protocol.authorization_details import read_authorization_details
from tests.http.pages import is_consent
from tests.support.raw_wallet import PASSWORD, USERNAME, Browser, RawWallet, form_fields

SECONDS = 1
"""Each of these inputs takes longer where nothing bounds it; bounded, a few hundredths."""

REORDERED = "a" + "\u0301" * 14_000 + "\u0316" * 14_000
"""Marks in an order that Unicode normalization has to turn round one by one."""


def timed(call: Callable[[], httpx2.Response]) -> httpx2.Response:
    """Return what `call` returns, in time."""
    started = time.perf_counter()
    answer = call()
    assert time.perf_counter() - started < SECONDS
    return answer


@pytest.mark.rule("O-15")
def test_cookies_of_others_cost_nothing(wallet: RawWallet, browser: Browser) -> None:
    url = wallet.authorize_url(wallet.push())
    page = browser.get(url)
    [ours] = browser.http.cookies.items()
    others = 'other="' + "\\1" * 30_000 + '"'
    again = timed(lambda: httpx2.get(url, headers={"Cookie": f"{others}; {'='.join(ours)}; {ours[0]}x=y"}))
    # Read all the same: this browser was known.
    assert again.text == page.text
    assert "set-cookie" not in again.headers


@pytest.mark.rule("O-15")
@pytest.mark.parametrize(("username", "password"), [(REORDERED, PASSWORD), (USERNAME, REORDERED)], ids=["name", "word"])
def test_long_names_and_passwords_are_nobodys(
    wallet: RawWallet, browser: Browser, username: str, password: str
) -> None:
    page = browser.get(wallet.authorize_url(wallet.push()))
    wrong = browser.sign_in(page, "nobody", "wrong")
    octets = "&".join(
        [
            *(f"{name}={value}" for name, value in {**form_fields(page.text), "action": "approve"}.items()),
            f"username={username}",
            f"password={password}",
        ]
    ).encode()
    action = str(page.url).split("?")[0] + "/answer"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = timed(lambda: browser.http.post(action, content=octets, headers=form))
    assert (refused.status_code, refused.text) == (400, wrong.text)
    assert is_consent(browser.sign_in(page))


@pytest.mark.rule("O-15", "AZ-21")
def test_many_claim_paths_are_compared_in_linear_time() -> None:
    claims = ",".join(f'{{"path":[{index}]}}' for index in range(12_000))
    sent = f'[{{"type":"openid_credential","credential_configuration_id":"pid","claims":[{claims}]}}]'
    started = time.perf_counter()
    assert read_authorization_details(sent, configuration_ids=["pid"], issuer="https://issuer.example") is not None
    assert time.perf_counter() - started < SECONDS
