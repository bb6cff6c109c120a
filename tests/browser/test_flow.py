"""A person walks the pages: with and without scripts, with the keyboard, astray, and back to the wallet."""

from collections.abc import Callable

import pytest

from tests.browser.listener import Listener
from tests.browser.tab import PASSWORD, Tab
from tests.support.raw_wallet import RawWallet, form_fields
from tests.support.server import RunningServer

pytestmark = pytest.mark.browser


@pytest.mark.rule("AZ-07", "AZ-08")
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_a_person_signs_in_agrees_and_is_back_in_the_wallet(
    open_tab: Callable[..., Tab], wallet: RawWallet, listener: Listener, scripts: bool
) -> None:
    tab = open_tab(java_script_enabled=scripts)
    tab.sign_in(wallet.authorize_url(wallet.push()))
    assert tab.heading() == "Issue to your wallet?"
    tab.press("Agree and issue")
    # The content security policy's `form-action` lets the answer be redirected to the wallet.
    assert tab.heading() == "Back in the wallet"
    [callback] = listener.callbacks
    assert {**callback, "code": ""} == {"code": "", "state": "st&te+1", "iss": wallet.issuer}
    assert wallet.exchange(callback["code"]).status_code == 200


def test_the_keyboard_is_enough(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    tab.page.goto(wallet.authorize_url(wallet.push()))
    keyboard = tab.page.keyboard
    assert tab.focused() == "User name"
    keyboard.type("erika")
    keyboard.press("Tab")
    assert tab.focused() == "Password"
    keyboard.type(PASSWORD)
    keyboard.press("Tab")
    assert tab.focused() == "Sign in"
    keyboard.press("Tab")
    assert tab.focused() == "Cancel"
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    with tab.page.expect_navigation():
        keyboard.press("Enter")
    assert tab.heading() == "Issue to your wallet?"
    keyboard.press("Tab")
    assert tab.focused() == "Agree and issue"
    keyboard.press("Tab")
    assert tab.focused() == "Refuse"
    keyboard.press("Shift+Tab")
    with tab.page.expect_navigation():
        keyboard.press("Space")
    assert "code" in listener.callbacks[0]


@pytest.mark.rule("AZ-02")
def test_a_wrong_password_is_said_and_may_be_tried_again(tab: Tab, wallet: RawWallet) -> None:
    tab.sign_in(wallet.authorize_url(wallet.push()), password="wrong")
    said = "The user name or the password is not right."
    assert tab.page.get_by_role("alert").inner_text() == said
    assert tab.page.title() == "Error: Sign in – PID Provider (demonstration)"
    assert tab.focused() == "User name"
    for field in ("User name", "Password"):
        assert tab.page.get_by_label(field).get_attribute("aria-invalid") == "true"
        assert tab.described(field) == said
        assert tab.page.get_by_label(field).input_value() == ""
    tab.fill()
    tab.press("Sign in")
    assert tab.heading() == "Issue to your wallet?"


def test_empty_fields_are_not_sent(tab: Tab, wallet: RawWallet) -> None:
    tab.page.goto(wallet.authorize_url(wallet.push()))
    tab.button("Sign in").click()
    assert tab.focused() == "User name"
    assert not any(url.endswith("/answer") for url in tab.requested)


@pytest.mark.rule("AZ-08")
@pytest.mark.parametrize("page", ["sign in", "confirm"])
def test_refusing_takes_the_person_back_without_a_code(
    tab: Tab, wallet: RawWallet, listener: Listener, page: str
) -> None:
    url = wallet.authorize_url(wallet.push())
    if page == "sign in":
        tab.page.goto(url)
        tab.press("Cancel")
    else:
        tab.sign_in(url)
        tab.press("Refuse")
    assert tab.heading() == "Back in the wallet"
    assert listener.callbacks == [
        {
            "error": "access_denied",
            "error_description": "The person refused.",
            "state": "st&te+1",
            "iss": wallet.issuer,
        }
    ]
    tab.page.goto(url)
    assert tab.heading() == "This did not work"


@pytest.mark.rule("PAR-09")
def test_a_reload_stays_at_the_same_page(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    tab.page.goto(wallet.authorize_url(wallet.push()))
    tab.page.reload()
    assert tab.heading() == "Sign in"
    tab.fill()
    tab.press("Sign in")
    assert tab.heading() == "Issue to your wallet?"
    tab.page.reload()
    assert tab.heading() == "Issue to your wallet?"
    tab.press("Agree and issue")
    assert tab.heading() == "Back in the wallet"
    assert len(listener.callbacks) == 1


def test_a_page_left_open_in_another_tab_shows_where_the_person_is(tab: Tab, wallet: RawWallet) -> None:
    url = wallet.authorize_url(wallet.push())
    tab.page.goto(url)
    second = tab.page.context.new_page()
    second.goto(url)
    tab.fill()
    tab.press("Sign in")
    second.get_by_label("User name").fill("erika")
    second.get_by_label("Password").fill("anything")
    second.get_by_role("button", name="Sign in").click()
    assert second.get_by_role("heading", level=1).inner_text() == "Issue to your wallet?"


@pytest.mark.rule("C-05", "C-20")
def test_going_back_after_the_end_finds_nothing_to_send_again(tab: Tab, wallet: RawWallet, listener: Listener) -> None:
    tab.sign_in(wallet.authorize_url(wallet.push()))
    consent = tab.page.content()
    tab.press("Agree and issue")
    assert tab.heading() == "Back in the wallet"
    tab.page.go_back()
    assert tab.heading() == "This did not work"
    assert tab.page.locator("form").count() == 0
    # Not even the consent page as it was, kept and sent again.
    answer = tab.page.context.request.post(
        f"{wallet.issuer}/authorize/answer", form={**form_fields(consent), "action": "approve"}, max_redirects=0
    )
    assert answer.status == 400
    assert len(listener.callbacks) == 1


def test_a_person_without_a_mandatory_claim_is_taken_back(tab: Tab, server: RunningServer, listener: Listener) -> None:
    with server.wallet("awkward", redirect_uri=listener.redirect_uri) as awkward:
        tab.page.goto(awkward.authorize_url(awkward.push()))
        tab.fill(username="nobody")
        tab.press("Sign in")
        tab.press("Agree and issue")
    assert tab.heading() == "Back in the wallet"
    assert listener.callbacks[-1]["error"] == "access_denied"
    assert "code" not in listener.callbacks[-1]
